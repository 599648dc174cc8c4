/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_DISK_H
#define RUN_DISK_H

/*
 * dirdisk --private, which shows the disk: found, and started in the
 * foreground. It is in a session of its own, so that it unmounts when we say
 * so, not when a terminal ends all that was started on it.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 */

#include <signal.h>

struct child;
struct diag;
struct run_options;

/*
 * *ret_out: a pipe that the mount directory's path comes from, and a newline,
 * once the disk can be read; its end is that of all processes of dirdisk.
 */
int disk_start(struct child *ret_child, int *ret_out,
	       const struct run_options *options, const sigset_t *mask,
	       struct diag *diag);

#endif
