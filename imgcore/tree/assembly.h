/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_ASSEMBLY_H
#define TREE_ASSEMBLY_H

/*
 * How a tree comes to be: directory after directory, in the order of their own
 * nodes, each put behind all others. So the order of nodes is breadth-first
 * whatever order the entries arrive in.
 */

#include "tree/batch.h"
#include "tree/dir.h"
#include "tree/links.h"

struct diag;

struct assembly {
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

/* Starts a tree with its root alone: a batch of one entry without a name. */
int assembly_begin(struct assembly *assembly, struct batch *root,
		   const struct tree_clock *clock);
/*
 * Puts a directory at the next place, and takes it over, whatever happens.
 * batch is what it was made of: it knows the grafts of the subdirectories;
 * NULL: they have none.
 */
int assembly_put(struct assembly *assembly, struct dir *dir,
		 const struct batch *batch, struct diag *diag);
/* Hands the tree out. */
struct tree *assembly_end(struct assembly *assembly);
/* Drops everything that is left; harmless behind assembly_end. */
void assembly_release(struct assembly *assembly);

#endif
