/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_WORKER_H
#define FS_WORKER_H

/*
 * The process that scans the source, lays the disk out and serves it. It never
 * mounts anything: all it needs is open when it starts, or comes over the
 * channel. It ends with its supervisor, or with the mount.
 */

#include <stdint.h>
#include <sys/types.h>

#include "imgcore/tree.h"

struct options;

struct worker {
	const struct options *options;
	pid_t supervisor;
	int channel;
	int opener; /* socket */
	int src_fd;
	const char *source; /* its path, absolute */
	int tmp_fd; /* the directory for the overlay's file */
	struct tree_identity mnt; /* the directory below the mount */
	const char *mount_list; /* as mount_options made it */
};

/* Runs to the end; the exit code. Failures are told over the channel. */
int worker_run(const struct worker *worker);

#endif
