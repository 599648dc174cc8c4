/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_SESSION_H
#define FS_SESSION_H

/*
 * A FUSE session: the device, and the threads that read requests from it.
 *
 * libfuse's own loop ends the whole session at the first read that fails, and
 * a reply that cannot be written leaves its reader waiting for ever. Here a
 * failure of the device is tried again, and ends the session only when it
 * lasts.
 */

#include <stdbool.h>

struct front;
struct fuse_session;

/*
 * Serves on a descriptor that is mounted already; list is the mount's options.
 * The front must outlive the session, which owns fd from then on. libfuse logs
 * the reason of a failure.
 */
int session_new(struct fuse_session **ret_session, struct front *front,
		const char *list, bool debug, int fd);

/*
 * Serves until the mount is gone: 0. A negative errno: the device keeps
 * failing; other threads may still wait in it, so that nothing they use may be
 * freed.
 */
int session_serve(struct fuse_session *session);

#endif
