/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

/*
 * A process that reads from the mount, so that nobody else has to wait for its
 * server: until the disk is there, and then, with --watch, what it boots.
 *
 * It writes texts to a pipe, each with a NUL behind it: "" once the disk can be
 * read; then what has changed, when that is whole, at rest, and can be booted.
 */

#include <signal.h>
#include <sys/types.h>

struct keeper;
struct run_options;

#define WATCH_TEXT_LEN 4096 /* with the NUL */

/* Its process id and the pipe, or a negative errno. */
pid_t watch_start(const struct run_options *options, struct keeper *keeper,
		  const char *disk, const sigset_t *mask, int *ret_fd);

#endif
