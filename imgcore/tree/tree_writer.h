/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_TREE_WRITER_H
#define TREE_TREE_WRITER_H

/*
 * Makes a tree, one directory after the other, in the order of their own nodes.
 * Each directory's entries are numbered after all others: so the order of nodes
 * is breadth-first, whatever order the entries arrive in.
 */

#include "tree/dir_builder.h"
#include "tree/links.h"
#include "tree/tree-internal.h"

struct diag;

struct tree_writer {
	struct tree *tree;
	struct links links; /* (device, inode) -> index in tree.named */
	struct links devices; /* device -> a number */
	struct xattr_index xattrs;
	/* For each place: the tree builder's directory that is merged in. */
	struct {
		builder_id *items;
		size_t count, size;
	} grafts;
	size_t next; /* the place to put the next directory at */
};

/* Starts a tree with its root alone: the only entry of a builder, unnamed. */
int tree_writer_begin(struct tree_writer *writer, struct dir_builder *root,
		      const struct tree_clock *clock);
/*
 * Puts a directory at the next place, and takes it over, also on failure.
 * builder: what it was made from, which knows the grafts of subdirectories;
 * NULL: they have none.
 */
int tree_writer_put(struct tree_writer *writer, struct dir *dir,
		    const struct dir_builder *builder, struct diag *diag);
/* Returns the tree, which is the caller's. */
struct tree *tree_writer_end(struct tree_writer *writer);
/* Frees everything that is left; allowed after tree_writer_end. */
void tree_writer_release(struct tree_writer *writer);

#endif
