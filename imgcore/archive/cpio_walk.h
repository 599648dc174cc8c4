/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_CPIO_WALK_H
#define ARCHIVE_CPIO_WALK_H

/*
 * The names of an archive in their order: those of the directory and those of
 * the list, merged. One step is one name, so no depth is too great.
 */

#include "archive/devices.h"
#include "archive/newc.h"
#include "imgcore/archive.h"

/* What an archive is made from. */
struct cpio_source {
	const struct tree *tree;
	tree_id dir;
	enum cpio_layout layout;
	struct devices list;
	tree_id list_file; /* or TREE_NONE */
	char *prefix; /* of the tree's names: "" or "lib/modules/V/" */
};

/* The tree's next name; node TREE_NONE: no more names. */
struct walk_ahead {
	tree_id node;
	struct tree_info info;
	size_t path_len; /* of walk.path */
	unsigned depth;
};

struct cpio_walk {
	const struct cpio_source *source;
	size_t listed; /* of the list: the next one */
	struct walk_ahead ahead;
	/* The directories above ahead, and what is left of each. */
	struct {
		struct walk_dir {
			tree_id next;
			tree_id end;
			size_t path_len;
		} * items;
		size_t count, size;
	} dirs;
	bool returned; /* ahead is what the last step returned */
	unsigned prefix_depth;
	char path[2 * NEWC_NAME_MAX]; /* any prefix and name */
};

struct walked {
	bool listed;
	uint32_t source; /* as cpio_entry.source */
	const char *path; /* until the next step; not terminated */
	size_t path_len;
	unsigned depth; /* 0: "." */
	uint64_t line; /* where it is listed */
};

void cpio_walk_begin(struct cpio_walk *walk, const struct cpio_source *source);
/*
 * Returns 1 with the next name, 0 at the end, or a negative errno, after which
 * the next call continues with the name that follows.
 */
int cpio_walk_next(struct cpio_walk *walk, struct walked *ret,
		   struct diag *diag);
void cpio_walk_end(struct cpio_walk *walk);

/* Reports an error about an entry, with its path or line; returns err. */
int cpio_walk_fail(const struct cpio_source *source, const struct walked *at,
		   int err, const char *reason, struct diag *diag);

#endif
