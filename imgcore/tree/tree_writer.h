/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_TREE_WRITER_H
#define TREE_TREE_WRITER_H

/*
 * How a tree comes to be: directory after directory, in the order of their own
 * nodes, each put behind all others. So the order of nodes is breadth-first
 * whatever order the entries arrive in.
 */

#include "tree/dir.h"
#include "tree/dir_builder.h"
#include "tree/links.h"

struct diag;

struct tree_writer {
	struct tree *tree;
	struct links links; /* (device, inode) -> index in tree.named */
	struct links devices; /* device -> a number */
	struct xattr_index xattrs;
	/* Of each place: the builder's directory that goes into it. */
	struct {
		builder_id *items;
		size_t count, size;
	} grafts;
	size_t next; /* the place to put the next directory at */
};

/* Starts a tree with its root alone: a dir_builder of one entry without a name.
 */
int tree_writer_begin(struct tree_writer *writer, struct dir_builder *root,
		      const struct tree_clock *clock);
/*
 * Puts a directory at the next place, and takes it over, whatever happens.
 * dir_builder is what it was made of: it knows the grafts of the
 * subdirectories; NULL: they have none.
 */
int tree_writer_put(struct tree_writer *writer, struct dir *dir,
		    const struct dir_builder *dir_builder, struct diag *diag);
/* Hands the tree out. */
struct tree *tree_writer_end(struct tree_writer *writer);
/* Drops everything that is left; harmless behind tree_writer_end. */
void tree_writer_release(struct tree_writer *writer);

#endif
