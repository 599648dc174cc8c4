/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

/*
 * A process that reads from the mount for --watch, so that nobody else has to
 * wait for its server.
 *
 * It writes texts to a pipe, each with a NUL after it: "" once it knows what
 * the disk boots; then what has changed, when that is complete, has not changed
 * for a second, and can be booted.
 */

#include <signal.h>

struct child;

#define WATCH_TEXT_LEN 4096 /* with the NUL */

/* Starts it, with the pipe: 0 or a negative errno. */
int watch_start(struct child *ret_child, int *ret_fd, const char *mount_dir,
		const sigset_t *mask);

#endif
