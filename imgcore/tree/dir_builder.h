/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_DIR_BUILDER_H
#define TREE_DIR_BUILDER_H

/*
 * The entries of one directory on their way into a tree, in the order they
 * arrive: from the host, from an earlier tree, from a builder.
 */

#include <stdbool.h>

#include "tree/builder.h"
#include "tree/node.h"

struct diag;

/* An entry on its way: name and target are offsets in the builder's names. */
struct entry {
	struct node node;
	uint64_t dev;
	size_t first_extent; /* in the builder's extents */
	size_t n_extents;
	size_t first_xattr; /* its set, in the builder's xattrs */
	size_t xattrs_len;
	struct content_source *source; /* the graft's; NULL: none */
	/* The graft it is, or a directory whose grafts it takes in. */
	builder_id graft;
	bool sparse;
};

struct dir_builder {
	struct {
		struct entry *items;
		size_t count, size;
	} entries;
	/* The entries by name, once sorted: as many, or none. */
	struct {
		struct dir_key {
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

void dir_builder_clear(struct dir_builder *builder);
void dir_builder_release(struct dir_builder *builder);
/* A new entry of that name, zeroed; NULL when out of memory. */
struct entry *dir_builder_add(struct dir_builder *builder, const char *name,
			      size_t len);
/* Copies bytes into names. */
int dir_builder_put(struct dir_builder *builder, const char *bytes, size_t len,
		    uint64_t *ret_offset);
/* The set of extended attributes of an entry. */
int dir_builder_put_xattrs(struct dir_builder *builder, struct entry *e,
			   const uint8_t *set, size_t len);
/* Adds what the host showed of an entry of a directory of an earlier tree. */
int dir_builder_add_node(struct dir_builder *builder, const struct dir *dir,
			 const struct node *node);
/* Adds a builder's entries below one of its directories. */
int dir_builder_add_grafts(struct dir_builder *builder,
			   const struct tree_builder *grafts, builder_id dir);

/*
 * Puts the entries in order, with one of each name: the host's, where there is
 * one, and a directory of the host takes in the grafts of another. -EEXIST: two
 * grafts of one name.
 */
int dir_builder_sort(struct dir_builder *builder, struct diag *diag);
static inline struct entry *dir_builder_at(const struct dir_builder *builder,
					   size_t i)
{
	return &builder->entries.items[builder->order.items[i].entry];
}

#endif
