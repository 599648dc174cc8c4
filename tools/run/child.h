/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_CHILD_H
#define RUN_CHILD_H

/*
 * Child processes. Each gets a signal when its parent ends, however that is,
 * and is held by a pidfd until its end was reported.
 *
 * Errors: negative errno, of the execution of the program too.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: there is none */
	int fd; /* a pidfd, which can be read from once it has ended; or -1 */
};

#define CHILD_NONE ((struct child){ .fd = -1 })

struct child_options {
	char *const *argv; /* argv[0] is looked for in PATH */
	const char *environment; /* "NAME=VALUE" to add, or NULL */
	const sigset_t *mask; /* the signals that it starts with blocked */
	int death_signal;
	int in; /* descriptors that become its standard ones; -1: ours */
	int out;
	int err;
	int keep; /* another that it gets under its number, or -1 */
	bool session; /* of its own: what a terminal sends is not for it */
	pid_t group; /* the process group that it joins; 0: ours */
};

int child_start(struct child *ret_child, const struct child_options *options);

/*
 * Forks: 1, and 0 in the child, which gets SIGKILL with our end, and the
 * signals of mask blocked only.
 */
int child_fork(struct child *ret_child, const sigset_t *mask);

/* Sends a signal, which is seen even if the child is stopped. */
void child_signal(const struct child *child, int number);
/* Whether it has ended: then its wait status, and *child is CHILD_NONE. */
bool child_ended(struct child *child, int *ret_status);
/*
 * Sends a signal, and SIGKILL if that has not ended it after some time. Its
 * wait status; 0 too if there is none, or not even that has ended it.
 */
int child_end(struct child *child, int number, int patience_ms);

/* Makes us the parent of processes that our children leave behind. */
int children_adopt(void);
/*
 * Ends all our children, and what they leave behind, but for those in keep: as
 * child_end.
 */
void children_end(const struct child *const keep[], size_t n, int number,
		  int patience_ms);

#endif
