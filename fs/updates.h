/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_UPDATES_H
#define FS_UPDATES_H

/*
 * Requests for the tree as it is now. One thread at a time brings it up to
 * date, for all that had come when it began. Who comes while it is at it leaves
 * the request there and is free for others: however many wait, reads go on.
 */

#include <fuse_lowlevel.h>

struct generations;
struct served;
struct updates;

struct update {
	fuse_req_t req;
	fuse_ino_t ino;
	struct fuse_file_info fi;
	/* Answers req, soon; newest is in use, and the callee's to end that. */
	void (*answer)(const struct update *update, struct served *newest);
};

int updates_new(struct updates **ret_updates, struct generations *generations);
void updates_free(struct updates *updates);

/*
 * Sees to it that the request is answered, by this thread or by another; with
 * an error, which is logged, where the tree cannot be shown as it is.
 */
void updates_request(struct updates *updates, const struct update *update);

#endif
