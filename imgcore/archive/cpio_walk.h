/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_CPIO_WALK_H
#define ARCHIVE_CPIO_WALK_H

/*
 * The names of an archive in their order: those of the directory and those of
 * the list, merged. One step is one name, so no depth is too great.
 */

#include "archive/cpio-internal.h"

/* What the tree has next; node TREE_NONE: nothing more. */
struct walk_ahead {
	tree_id node;
	struct tree_info info;
	size_t path_len; /* of walk.path */
	unsigned depth;
};

struct cpio_walk {
	const struct cpio *cpio;
	size_t listed; /* of the list: the next one */
	struct walk_ahead ahead;
	/* The directories that it stands in, and what of each is left. */
	struct {
		struct walk_dir {
			tree_id next;
			tree_id end;
			size_t path_len;
		} * items;
		size_t count, size;
	} dirs;
	bool taken; /* ahead is what the last step gave */
	unsigned prefix_depth;
	char path[2 * NEWC_NAME_MAX]; /* any prefix and name */
};

struct walked {
	bool listed;
	uint32_t source; /* as entry.source */
	const char *path; /* until the next step; not terminated */
	size_t path_len;
	unsigned depth; /* 0: "." */
	uint64_t line; /* where it is listed */
};

void cpio_walk_begin(struct cpio_walk *walk, const struct cpio *cpio);
/* 1, 0 at the end, or a negative errno: the next call goes on behind that. */
int cpio_walk_next(struct cpio_walk *walk, struct walked *ret,
		   struct diag *diag);
void cpio_walk_end(struct cpio_walk *walk);

/* An error about an entry, where it comes from; returns err. */
int cpio_fail(const struct cpio *cpio, const struct walked *at, int err,
	      const char *reason, struct diag *diag);

#endif
