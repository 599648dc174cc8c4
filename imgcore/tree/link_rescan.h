/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_LINK_RESCAN_H
#define TREE_LINK_RESCAN_H

/*
 * Hard links between what was read anew and what was taken from an earlier
 * tree: a file that changed through one of its names changed in the directories
 * of all of them, and nobody is told of the others.
 */

#include "tree/node.h"

/* Where a directory of a tree was in the earlier one, if it is the same. */
struct previous_dir {
	uint32_t place; /* there; 0: it was not, for that is no directory's */
	bool read; /* its entries were read anew */
};

/* Directories of the earlier tree that must be read too, sorted. */
struct link_rescan {
	struct {
		tree_id *items;
		size_t count, size;
	} dirs;
};

/* Fills rescan->dirs; dirs: of each place of the tree. 0 or -ENOMEM. */
int link_rescan_find(struct link_rescan *rescan, const struct tree *tree,
		     const struct tree *previous,
		     const struct previous_dir *dirs);
void link_rescan_release(struct link_rescan *rescan);

#endif
