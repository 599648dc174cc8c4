/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_LINK_RESCAN_H
#define TREE_LINK_RESCAN_H

/*
 * Hard links between directories that were read and directories that were taken
 * from the previous tree: a file that changed through one of its names changed
 * in the directories of all of them, but no event reports the other names.
 */

#include "tree/tree-internal.h"

/* Where a directory of a tree was in the previous tree, if it is the same. */
struct previous_dir {
	uint32_t
		place; /* there; 0: nowhere, since place 0 is of no directory */
	bool read; /* its entries were read anew */
};

/* Directories of the previous tree that have to be read. */
struct link_rescan {
	struct {
		tree_id *items;
		size_t count, size;
	} dirs;
};

/* Adds to rescan->dirs; dirs: for each place of the tree. 0 or -ENOMEM. */
int link_rescan_find(struct link_rescan *rescan, const struct tree *tree,
		     const struct tree *previous,
		     const struct previous_dir *dirs);
void link_rescan_release(struct link_rescan *rescan);

#endif
