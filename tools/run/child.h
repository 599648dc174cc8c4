/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_CHILD_H
#define RUN_CHILD_H

/*
 * Starting programs that do not outlive us: each gets a signal when we end,
 * however that is.
 *
 * Errors: negative errno, of the execution of the program too.
 */

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct child_options {
	char *const *argv; /* argv[0] is looked for in PATH */
	const char *mark; /* "NAME=VALUE", put into its environment */
	const sigset_t *mask; /* the signals that it starts with blocked */
	int death_signal;
	int in; /* descriptors that become its standard ones; -1: ours */
	int out;
	int err;
	int keep; /* another that it gets under its number, or -1 */
	bool session; /* of its own: what a terminal sends is not for it */
};

int child_start(pid_t *ret_pid, const struct child_options *options);

/*
 * Forks. The child gets 0, SIGKILL with our end, and the signals of mask
 * blocked only.
 */
pid_t child_fork(const sigset_t *mask);

/*
 * Whether it has ended; its wait status then. Its process id is not reused
 * until this or child_wait has reported the end.
 */
bool child_ended(pid_t pid, int *ret_status);
/*
 * Waits so long for its end, then ends it by force. -ETIMEDOUT: not even that
 * did, for it waits in the kernel for something else.
 */
int child_wait(pid_t pid, int patience_ms);

#endif
