/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_H
#define FS_OPENER_H

/*
 * The process that opens files that the worker may not open itself: those that
 * links in kernels/ lead to, and, if SRC's path leads to another directory than
 * at the start, that directory and the files beneath it. It opens nothing else.
 * It ends with the supervisor, or with the worker.
 */

#include <stdbool.h>
#include <sys/types.h>

struct opener_process {
	pid_t supervisor;
	int socket; /* to the worker */
	int src_fd; /* the directory that is SRC at the start */
	const char *path; /* SRC's, absolute */
	const char *follow; /* the directory of such links; NULL: none */
	bool cross_mounts; /* files that are mounted below SRC are opened too */
	bool trusted; /* see confine_capabilities */
	bool foreground; /* keeps the standard descriptors */
};

/* Serves until its end, and returns the exit code. */
int opener_run(const struct opener_process *process);

#endif
