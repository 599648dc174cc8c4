/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_LINKS_H
#define TREE_LINKS_H

/*
 * Maps inodes to nodes: (device, inode number) -> node, for files with more
 * than one name. Open addressing, linear probing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct link_slot {
	uint64_t ino;
	uint32_t dev;
	tree_id node; /* TREE_NONE: empty */
};

struct links {
	struct link_slot *slots;
	size_t count;
	size_t size; /* a power of two, or 0 */
};

/*
 * Returns the node of an inode; if it has none yet, that is `node` from now on.
 * 0 or -ENOMEM.
 */
int links_intern(struct links *links, uint32_t dev, uint64_t ino, tree_id node,
		 tree_id *ret_node);
/* Whether an inode has a node, and which. */
bool links_find(const struct links *links, uint32_t dev, uint64_t ino,
		tree_id *ret_node);
void links_release(struct links *links);

#endif
