/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_UPDATES_H
#define FS_UPDATES_H

/*
 * Requests for the tree as it is now. One thread at a time updates the disks,
 * for all requests that were waiting when it began. A thread that comes
 * meanwhile leaves its request in the queue and is free for others: reads go
 * on, however many requests wait.
 */

#include <fuse_lowlevel.h>

struct disk;
struct disks;
struct updates;

struct update {
	fuse_req_t req;
	fuse_ino_t ino;
	struct fuse_file_info fi;
	/* Answers req soon, and puts the newest disk. */
	void (*answer)(const struct update *update, struct disk *newest);
};

int updates_new(struct updates **ret_updates, struct disks *disks);
void updates_free(struct updates *updates);

/*
 * Has the request answered, by this thread or by another; with an error, which
 * is logged, if the tree cannot be shown as it is now.
 */
void updates_request(struct updates *updates, const struct update *update);

#endif
