/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_H
#define FS_OPENER_H

/*
 * The process that opens for the worker what the worker may not open itself:
 * files beneath the directory that SRC's path leads to, should that be another
 * one than at the start, and files that links in kernels/ lead to. Nothing else
 * can be had from it. It ends with the supervisor, or with the worker.
 */

#include <stdbool.h>
#include <sys/types.h>

struct opener_process {
	pid_t supervisor;
	int socket; /* to the worker */
	int src_fd; /* the directory that is SRC at the start */
	const char *path; /* SRC's, absolute */
	const char *follow; /* the directory of such links; NULL: none */
	bool cross_mounts; /* what is mounted below SRC is opened too */
	bool trusted; /* see confine_capabilities */
	bool foreground; /* keeps the standard descriptors */
};

/* Runs to the end; the exit code. */
int opener_run(const struct opener_process *process);

#endif
