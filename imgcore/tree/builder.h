/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_BUILDER_H
#define TREE_BUILDER_H

/* The inside of a builder: nodes that point at each other, made for ease. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "imgcore/tree.h"
#include "tree/node.h"

#define BUILDER_NONE UINT32_MAX
/* The device of inodes that no host has; their numbers are builder_ids. */
#define BUILDER_DEV UINT64_MAX

struct builder_node {
	struct tree_attr attr;
	char *name;
	char *target;
	struct tree_extent *extents;
	size_t n_extents;
	uint8_t *xattrs; /* the set, as tree/xattr_set.h has it */
	size_t xattrs_len;
	struct content_source *source; /* NULL: no bytes behind it */
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

#endif
