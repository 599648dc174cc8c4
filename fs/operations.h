/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPERATIONS_H
#define FS_OPERATIONS_H

/*
 * The file system: a directory with one file, disk.img.
 */

#include <stdbool.h>

struct disk;
struct fuse_session;

/*
 * A session that serves the disk on a descriptor that is mounted already; list
 * is the mount's options. The disk must outlive it; the caller destroys the
 * session, which closes fd. NULL where it cannot be made; libfuse logs why.
 */
struct fuse_session *operations_session(struct disk *disk, const char *list,
					bool debug, int fd);
/* Serves until the mount is gone: 0 or a negative errno. */
int operations_serve(struct fuse_session *session);

#endif
