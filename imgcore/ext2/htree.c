/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/htree.h"

#include <assert.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "base/vec.h"
#include "ext2/plan.h"

#define ROOT_INFO    24u /* behind "." and ".." */
#define ROOT_ENTRIES (ROOT_INFO + 8)
#define NODE_ENTRIES 8u /* behind the header of an entry without a name */
#define HASH_VERSION EXT2_HASH_HALF_MD4
#define LAST_HASH    0xfffffffeu /* drivers have it mean the end */

static_assert(sizeof(struct ext2_dx_entry) == 8, "an index entry");
static_assert(sizeof(struct ext2_dx_countlimit) == 4, "count and limit");
static_assert(sizeof(struct ext2_dx_root_info) == 8, "the root's header");
static_assert(HTREE_ROOT_FANOUT == (EXT2_BLOCK - ROOT_ENTRIES) / 8, "root");
static_assert(HTREE_NODE_FANOUT == (EXT2_BLOCK - NODE_ENTRIES) / 8, "node");

/* ---- hashes ---- */

uint32_t htree_half_md4(const uint8_t seed[16], const char *name, size_t len)
{
	ext2_dirhash_t hash = 0;
	ext2_dirhash_t minor;
	uint32_t words[4];
	errcode_t err;

	for (unsigned i = 0; i < 4; i++)
		words[i] = get_le32(seed + i * 4);
	/* Not for a version that it knows. */
	err = ext2fs_dirhash2(EXT2_HASH_HALF_MD4_UNSIGNED, name, (int)len, NULL,
			      0, words, &hash, &minor);
	assert(err == 0);
	(void)err;
	return hash == LAST_HASH ? LAST_HASH - 2 : hash;
}

static void hash_children(const struct ext2_demand *d,
			  const struct tree_info *dir, struct htree_name *names)
{
	for (uint32_t i = 0; i < dir->n_children; i++) {
		size_t len;
		const char *name = tree_name(d->tree, dir->first_child + i,
					     &len);

		names[i] = (struct htree_name){
			d->rules.hash(d->seed, name, len),
			i,
			dir_entry_length(len),
		};
	}
}

#define DIGIT_BITS 11
#define DIGITS	   (1u << DIGIT_BITS)

/* One pass of a radix sort; equal digits keep their order. */
static void sort_digit(const struct htree_name *from, struct htree_name *to,
		       uint32_t n, unsigned shift)
{
	uint32_t at[DIGITS] = { 0 };
	uint32_t before = 0;

	for (uint32_t i = 0; i < n; i++)
		at[from[i].hash >> shift & (DIGITS - 1)]++;
	for (unsigned digit = 0; digit < DIGITS; digit++) {
		uint32_t count = at[digit];

		at[digit] = before;
		before += count;
	}
	for (uint32_t i = 0; i < n; i++)
		to[at[from[i].hash >> shift & (DIGITS - 1)]++] = from[i];
}

/*
 * By hash, and then by name: that is the order they come in. Drivers never
 * look at the order of names within one hash. The result is in `sorted`.
 */
static void sort_names(struct htree_name *names, struct htree_name *sorted,
		       uint32_t n)
{
	sort_digit(names, sorted, n, 0);
	sort_digit(sorted, names, n, DIGIT_BITS);
	sort_digit(names, sorted, n, 2 * DIGIT_BITS);
}

/* ---- leaves ---- */

/* Fills each leaf: a guest that adds a name splits it. */
static int pack_leaves(struct ext2_demand *d, const struct htree_name *names,
		       uint32_t n)
{
	uint32_t used = EXT2_BLOCK;

	for (uint32_t i = 0; i < n; i++) {
		struct htree_leaf *leaf;

		used += names[i].length;
		if (used <= EXT2_BLOCK)
			continue;
		leaf = vec_push(&d->dir_leaves);
		if (!leaf)
			return -ENOMEM;
		leaf->first = i;
		leaf->hash = names[i].hash;
		if (i > 0 && names[i - 1].hash == names[i].hash)
			leaf->hash |= 1;
		used = names[i].length;
	}
	return 0;
}

static int keep_order(struct ext2_demand *d, const struct htree_name *names,
		      uint32_t n)
{
	if (vec_reserve(&d->dir_order, n) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		d->dir_order.items[d->dir_order.count++] = names[i].child;
	return 0;
}

int htree_sort(const struct ext2_demand *demand, const struct tree_info *dir,
	       struct htree_name **ret_names)
{
	uint32_t n = dir->n_children;
	_cleanup_free_ struct htree_name *names = malloc(n * sizeof(*names));
	struct htree_name *sorted = malloc(n * sizeof(*sorted));

	if (!names || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	hash_children(demand, dir, names);
	sort_names(names, sorted, n);
	*ret_names = sorted;
	return 0;
}

int htree_add(struct ext2_demand *demand, tree_id node,
	      const struct htree_name *names, uint32_t n)
{
	struct htree htree = {
		.node = node,
		.order = demand->dir_order.count,
		.leaves = demand->dir_leaves.count,
	};
	struct htree *kept;

	if (pack_leaves(demand, names, n) < 0 ||
	    keep_order(demand, names, n) < 0)
		return -ENOMEM;
	if (demand->dir_leaves.count - htree.leaves > demand->rules.max_leaves)
		return -EFBIG;
	htree.n_leaves = (uint32_t)(demand->dir_leaves.count - htree.leaves);
	kept = vec_push(&demand->htrees);
	if (!kept)
		return -ENOMEM;
	*kept = htree;
	return 0;
}

/* ---- blocks ---- */

/* 0: the root names the leaves. */
static uint32_t node_count(const struct htree *htree)
{
	if (htree->n_leaves <= HTREE_ROOT_FANOUT)
		return 0;
	return (uint32_t)div_up(htree->n_leaves, HTREE_NODE_FANOUT);
}

uint32_t htree_index_blocks(const struct htree *htree)
{
	return 1 + node_count(htree);
}

uint32_t htree_blocks(const struct htree *htree)
{
	return htree_index_blocks(htree) + htree->n_leaves;
}

const uint32_t *htree_children(const struct ext2_demand *demand,
			       const struct htree *htree,
			       const struct tree_info *dir, uint32_t leaf,
			       uint32_t *ret_n)
{
	const struct htree_leaf *l =
		&demand->dir_leaves.items[htree->leaves + leaf];
	uint32_t end = leaf + 1 < htree->n_leaves ? l[1].first
						  : dir->n_children;

	*ret_n = end - l->first;
	return demand->dir_order.items + htree->order + l->first;
}

/*
 * Entries of hash and block. Where the first one's hash would be, room and
 * number are told: a hash below the second's leads to the first.
 */
struct entries {
	uint32_t count;
	uint32_t first_block;
	uint32_t first_leaf;
	uint32_t step; /* leaves to an entry */
};

static void put_entries(const struct ext2_demand *d, const struct htree *htree,
			const struct entries *e, uint32_t limit, uint8_t *at)
{
	const struct htree_leaf *leaves = d->dir_leaves.items + htree->leaves;

	for (uint32_t i = 0; i < e->count; i++) {
		put_le32(at + i * 8, leaves[e->first_leaf + i * e->step].hash);
		put_le32(at + i * 8 + 4, e->first_block + i);
	}
	put_le16(at, (uint16_t)limit);
	put_le16(at + 2, (uint16_t)e->count);
}

static void render_root(const struct ext2_demand *d, const struct htree *htree,
			uint8_t *buf)
{
	uint32_t nodes = node_count(htree);
	const struct entries e = {
		.count = nodes ? nodes : htree->n_leaves,
		.first_block = 1,
		.step = nodes ? HTREE_NODE_FANOUT : 1,
	};

	buf[ROOT_INFO + 4] = HASH_VERSION;
	buf[ROOT_INFO + 5] = sizeof(struct ext2_dx_root_info);
	buf[ROOT_INFO + 6] = nodes > 0; /* levels below this one */
	put_entries(d, htree, &e, HTREE_ROOT_FANOUT, buf + ROOT_ENTRIES);
}

static void render_node(const struct ext2_demand *d, const struct htree *htree,
			uint32_t node, uint8_t *buf)
{
	uint32_t first = node * HTREE_NODE_FANOUT;
	const struct entries e = {
		.count = (uint32_t)min_u64(HTREE_NODE_FANOUT,
					   htree->n_leaves - first),
		.first_block = htree_index_blocks(htree) + first,
		.first_leaf = first,
		.step = 1,
	};

	put_le16(buf + 4, EXT2_BLOCK);
	put_entries(d, htree, &e, HTREE_NODE_FANOUT, buf + NODE_ENTRIES);
}

void htree_render(const struct ext2_demand *demand, const struct htree *htree,
		  uint32_t index, uint8_t *buf)
{
	if (index == 0)
		render_root(demand, htree, buf);
	else
		render_node(demand, htree, index - 1, buf);
}
