/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_DIR_BUILDER_H
#define TREE_DIR_BUILDER_H

/*
 * Collects the entries of one directory in any order, from the host, from the
 * previous tree and from a tree builder, and makes the directory of them.
 *
 * Errors: 0 or a negative errno; NULL when out of memory.
 */

#include <stdbool.h>

#include "tree/builder.h"
#include "tree/dir.h"

struct diag;

/* Name and target of the node are offsets in the builder's names. */
struct entry {
	struct node node;
	uint64_t dev;
	size_t first_extent; /* in the builder's extents */
	size_t n_extents;
	size_t first_xattr; /* its set, in the builder's xattrs */
	size_t xattrs_len;
	struct content_source *source; /* the graft's; NULL: none */
	/* The graft that it is, or the graft that is merged into it. */
	builder_id graft;
	bool sparse;
};

struct dir_builder {
	struct {
		struct entry *items;
		size_t count, size;
	} entries;
	/* The entries sorted by name: as many, or none. */
	struct {
		struct dir_key {
			uint64_t key; /* the bytes where the names differ */
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

void dir_builder_clear(struct dir_builder *builder);
void dir_builder_release(struct dir_builder *builder);
/* Adds an entry of that name, zeroed. */
struct entry *dir_builder_add(struct dir_builder *builder, const char *name,
			      size_t len);
/* Copies bytes into names. */
int dir_builder_put(struct dir_builder *builder, const char *bytes, size_t len,
		    uint64_t *ret_offset);
/* Sets the extended attributes of an entry. */
int dir_builder_put_xattrs(struct dir_builder *builder, struct entry *e,
			   const uint8_t *set, size_t len);
/* Adds what the host showed of an entry of a directory of the previous tree. */
int dir_builder_add_node(struct dir_builder *builder, const struct dir *dir,
			 const struct node *node);
/* Adds the entries of one directory of a tree builder. */
int dir_builder_add_grafts(struct dir_builder *builder,
			   const struct tree_builder *grafts, builder_id dir);

/*
 * Sorts the entries and merges those of one name: an entry of the host wins
 * over a graft, and a directory of the host takes the grafts of the other.
 * -EEXIST: two grafts of one name.
 */
int dir_builder_sort(struct dir_builder *builder, struct diag *diag);
static inline struct entry *dir_builder_at(const struct dir_builder *builder,
					   size_t i)
{
	return &builder->entries.items[builder->order.items[i].entry];
}
/* Makes the directory of the sorted entries. */
int dir_builder_finish(const struct dir_builder *builder,
		       const struct tree_clock *clock, struct dir **ret_dir);

#endif
