/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_DISK_H
#define RUN_DISK_H

/*
 * dirdisk, which shows the disk: found, and started in the foreground. In a
 * session of its own, so that it unmounts when we say so, not when a terminal
 * ends all that was started on it.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 */

#include <signal.h>
#include <sys/types.h>

struct diag;
struct run_options;

int disk_start(pid_t *ret_pid, const struct run_options *options,
	       const char *place, const sigset_t *mask, struct diag *diag);

#endif
