/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_BATCH_H
#define TREE_BATCH_H

/*
 * The entries of one directory on their way into a tree, in the order they
 * arrive: from the host, from an earlier tree, from a builder.
 */

#include <stdbool.h>

#include "tree/builder.h"
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
	struct origin *origin; /* the graft's; NULL: none */
	/* The graft it is, or a directory whose grafts it takes in. */
	builder_id graft;
	bool sparse;
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
/* The set of extended attributes of an entry. */
int batch_put_xattrs(struct batch *batch, struct entry *e, const uint8_t *set,
		     size_t len);
/* Adds what the host showed of an entry of a directory of an earlier tree. */
int batch_add_node(struct batch *batch, const struct dir *dir,
		   const struct node *node);
/* Adds a builder's entries below one of its directories. */
int batch_add_grafts(struct batch *batch, const struct tree_builder *grafts,
		     builder_id dir);

/*
 * Puts the entries in order, with one of each name: the host's, where there is
 * one, and a directory of the host takes in the grafts of another. -EEXIST: two
 * grafts of one name.
 */
int batch_sort(struct batch *batch, struct diag *diag);
static inline struct entry *batch_at(const struct batch *batch, size_t i)
{
	return &batch->entries.items[batch->order.items[i].entry];
}

#endif
