/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_WORKER_H
#define FS_WORKER_H

/*
 * The process that scans the source, lays the disk out and serves it. It mounts
 * nothing: its descriptors are open when it starts, or come over the channel or
 * from the opener. It ends with the supervisor, or with the mount.
 */

#include <stdint.h>
#include <sys/types.h>

#include "imgcore/tree.h"

struct dirdisk_options;

struct worker {
	const struct dirdisk_options *options;
	pid_t supervisor;
	int channel;
	int opener; /* socket to the opener */
	int src_fd;
	const char *source; /* its path, absolute */
	int tmp_fd; /* the directory for the overlay's file */
	struct tree_identity mnt; /* the directory below the mount */
	const char *mount_list; /* as mount_list made it */
};

/* Runs to the end; the exit code. Failures are sent over the channel. */
int worker_run(const struct worker *worker);

#endif
