/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_KEEPER_H
#define RUN_KEEPER_H

/*
 * A small process that makes the place where the disk is mounted and takes it
 * away when we end: by closing our end of a socket, or by being killed. It is
 * in a session of its own, where no terminal and no kill of our process group
 * reaches it.
 */

#include <sys/types.h>

struct diag;
struct terminal;

struct keeper {
	pid_t pid;
	int socket; /* its end is ours */
	char *place;
	int place_fd; /* of the directory, in case the keeper is killed */
};

#define KEEPER_INIT                           \
	{                                     \
		.socket = -1, .place_fd = -1, \
	}

/* From then on no process, mount or directory of ours stays behind. */
int keeper_start(struct keeper *ret_keeper, const struct terminal *terminal,
		 struct diag *diag);

/* In a forked child: what belongs to the parent alone. */
void keeper_forget(struct keeper *keeper);

/*
 * Lets it do its work, and waits for it. If it was killed, does what it would
 * have done.
 */
int keeper_end(struct keeper *keeper, struct diag *diag);

#endif
