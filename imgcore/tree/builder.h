/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_BUILDER_H
#define TREE_BUILDER_H

/* The inside of a tree builder: nodes that point at each other. */

#include <stdatomic.h>

#include "imgcore/tree.h"

#define BUILDER_NONE UINT32_MAX
/* The device of inodes that no host has; their numbers are builder_ids. */
#define BUILDER_DEV UINT64_MAX

/*
 * The content of a grafted file, counted: the builder, the directories made
 * from it and all names of the file share it.
 */
struct content_source {
	atomic_uint users;
	struct content *content;
};

struct builder_node {
	struct tree_attr attr;
	char *name;
	char *target;
	struct tree_extent *extents;
	size_t n_extents;
	uint8_t *xattrs; /* the set, in the form of tree/xattr_set.h */
	size_t xattrs_len;
	struct content_source *source; /* NULL: the file has no bytes */
	uint64_t size; /* file: bytes; link: length of the target */
	builder_id first_child;
	builder_id last_child;
	builder_id next; /* sibling */
	builder_id link_to; /* BUILDER_NONE: a file of its own */
	uint8_t name_len;
	bool linked; /* other names lead here */
	bool reserved;
};

struct tree_builder {
	struct builder_node *items;
	size_t count;
	size_t size;
};

/* Frees all but the root's attributes. */
void tree_builder_clear(struct tree_builder *builder);
void content_source_unref(struct content_source *source);

#endif
