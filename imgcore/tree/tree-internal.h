/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_TREE_INTERNAL_H
#define TREE_TREE_INTERNAL_H

/*
 * The inside of a tree. A directory's entries are an object of their own, which
 * knows nothing of where it stands: trees of one source share those that did
 * not change. A tree says where each stands, by a few bytes per directory.
 *
 *     places | . | root | a | b | a/c | ...           in the order of nodes
 *     nodes  | 0 | a b f | c g | h    | ...            each place's in a row
 *
 * Place 0 holds the root alone, so that every node stands in some directory.
 */

#include "tree/dir.h"

/* Where a directory stands in a tree. */
struct place {
	struct dir *dir;
	tree_id first; /* of its entries */
	tree_id node; /* its own */
	uint32_t first_subdir; /* the place of its first subdirectory */
	uint32_t xattrs; /* in tree.xattr_numbers, of its first set */
};

/* A further name, and the node that stands for the inode. */
struct further {
	tree_id node;
	tree_id inode;
};

/* A node that stands for an inode, and how many names that has. */
struct named {
	tree_id node;
	uint32_t nlink;
};

struct tree {
	uint32_t count; /* nodes */
	struct {
		struct place *items;
		size_t count, size;
	} places;
	/* Of nodes with NODE_LINKED; both sorted. */
	struct {
		struct further *items;
		size_t count, size;
	} further;
	struct {
		struct named *items;
		size_t count, size;
	} named;
	struct {
		tree_id *items;
		size_t count, size;
	} lists[TREE_LISTS];
	struct xattr_sets xattrs;
	struct {
		uint32_t *items;
		size_t count, size;
	} xattr_numbers;
	struct tree_clock clock;
	int64_t youngest; /* change time read anew, in ns */
	char *root_path; /* NULL: not from a host */
	int root_fd;
	bool cross_mounts;
	_Atomic uint64_t own_dev; /* of our mount: no link is followed to it */
	struct opener *opener;
};

static_assert(offsetof(struct further, node) == 0, "a record's number");
static_assert(offsetof(struct named, node) == 0, "a record's number");

/* The node of an id, and the place that it stands in. */
const struct node *tree_node(const struct tree *tree, tree_id id,
			     const struct place **ret_place);
/* The one that stands for its inode. */
const struct node *tree_inode_node(const struct tree *tree, tree_id id,
				   const struct place **ret_place);
/* The place of a directory's entries, by the node of the directory. */
uint32_t tree_place_of(const struct place *place, const struct node *node);

#endif
