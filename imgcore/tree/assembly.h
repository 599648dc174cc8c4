/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_ASSEMBLY_H
#define TREE_ASSEMBLY_H

/*
 * How a tree comes to be, from a host, from a builder or from both: directory
 * after directory in the order of their nodes, each one's entries as a batch
 * that is merged with the grafts, sorted, and put behind all others. So the
 * order of nodes is breadth-first whatever order the entries arrive in.
 */

#include <stdbool.h>

#include "tree/builder.h"
#include "tree/links.h"
#include "tree/node.h"

struct diag;

/* An entry on its way: name and target are offsets in the batch's names. */
struct entry {
	struct node node;
	uint64_t dev;
	size_t first_extent; /* in the batch's extents */
	size_t n_extents;
	size_t first_xattr; /* its set, in the batch's xattrs */
	size_t xattrs_len;
	/* The graft it is, or a directory whose grafts it takes in. */
	builder_id graft;
	bool sparse;
	bool linked; /* there may be further names of its inode */
};

struct batch {
	struct {
		struct entry *items;
		size_t count, size;
	} entries;
	/* The entries by name, once sorted: as many, or none. */
	struct {
		struct batch_key {
			uint64_t key; /* what the names differ in first */
			uint32_t entry;
		} * items;
		size_t count, size;
	} order;
	struct {
		char *items;
		size_t count, size;
	} names;
	struct {
		struct tree_extent *items;
		size_t count, size;
	} extents;
	struct {
		uint8_t *items;
		size_t count, size;
	} xattrs;
};

void batch_clear(struct batch *batch);
void batch_release(struct batch *batch);
/* A new entry of that name, zeroed; NULL when out of memory. */
struct entry *batch_add(struct batch *batch, const char *name, size_t len);
/* Copies bytes into names. */
int batch_put(struct batch *batch, const char *bytes, size_t len,
	      uint64_t *ret_offset);

/* Puts the entries in order; does nothing where they are. 0 or an error. */
int batch_sort(struct batch *batch);

struct assembly {
	struct tree *tree;
	struct tree_builder *grafts; /* or NULL */
	struct links links;
	struct links devices; /* device -> index in tree.devices */
	uint32_t last_device;
	struct xattr_index xattrs;
	/* Directories that grafts go into, by node, and where to go on. */
	struct {
		struct graft_dir {
			tree_id dir;
			builder_id graft;
		} * items;
		size_t count, size;
	} graft_dirs;
	size_t next_graft_dir;
};

/* Starts a tree with its root alone. */
int assembly_begin(struct assembly *assembly, const struct node *root,
		   uint64_t root_dev, struct tree_builder *grafts);
/* The extended attributes of the root. */
int assembly_root_xattrs(struct assembly *assembly, const uint8_t *set,
			 size_t len);
/*
 * The children of `dir`, in the order of the directories' nodes. Sorts the
 * batch where that was not done before.
 */
int assembly_append(struct assembly *assembly, tree_id dir, struct batch *batch,
		    struct diag *diag);
/* Hands the tree out and empties the grafts. */
struct tree *assembly_end(struct assembly *assembly);
/* Drops everything that is left; harmless behind assembly_end. */
void assembly_release(struct assembly *assembly);

#endif
