/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPERATIONS_H
#define FS_OPERATIONS_H

/*
 * The file system: a directory with the disk, and info/ beside it.
 */

#include <stdbool.h>

struct front;
struct fuse_session;

/*
 * A session that serves it on a descriptor that is mounted already; list is the
 * mount's options. The front must outlive it; the caller destroys the
 * session, which closes fd. NULL where it cannot be made; libfuse logs why.
 */
struct fuse_session *operations_session(struct front *front, const char *list,
					bool debug, int fd);
/* Serves until the mount is gone: 0 or a negative errno. */
int operations_serve(struct fuse_session *session);

#endif
