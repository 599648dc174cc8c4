/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_SESSION_H
#define FS_SESSION_H

/*
 * A FUSE session: the device, and the threads that read requests from it.
 *
 * libfuse's loop ends the session at the first read that fails, and a reply
 * that cannot be written leaves its reader waiting for ever. Here a read that
 * fails is repeated, and with libfuse 3.13 or later a write too; only a lasting
 * failure to read ends the session.
 */

#include <stdbool.h>

struct fs_context;
struct fuse_session;

/*
 * Makes a session for a descriptor that is mounted already; list: the options
 * of the mount. context must outlive the session, which owns fd from then on.
 * libfuse logs the reason of a failure.
 */
int session_new(struct fuse_session **ret_session, struct fs_context *context,
		const char *list, bool debug, int fd);

/*
 * Serves until the mount is gone: 0. A negative errno: the device keeps
 * failing; other threads may still wait in it, so nothing that they use may be
 * freed.
 */
int session_serve(struct fuse_session *session);

#endif
