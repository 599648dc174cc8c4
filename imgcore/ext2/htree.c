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
#include "ext2/dirent.h"

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

/* A name of a directory: what decides where it stands. */
struct htree_name {
	uint32_t hash;
	uint32_t child; /* offset from the directory's first */
	uint32_t length; /* of its entry */
};

struct hashing {
	const struct htree_rules *rules;
	const uint8_t *seed;
	tree_id first;
	struct htree_name *names;
};

static void hash_child(void *context, tree_id id, const struct tree_info *child)
{
	const struct hashing *h = context;
	uint32_t i = id - h->first;

	h->names[i] = (struct htree_name){
		h->rules->hash(h->seed, child->name, child->name_len),
		i,
		dirent_length(child->name_len),
	};
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

/* Fills each leaf: a guest that adds a name splits it. Writes none for NULL. */
static uint32_t pack_leaves(const struct htree_name *names, uint32_t n,
			    struct htree_leaf *leaves)
{
	uint32_t used = EXT2_BLOCK;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool goes_on = i > 0 && names[i - 1].hash == names[i].hash;

		used += names[i].length;
		if (used <= EXT2_BLOCK)
			continue;
		if (leaves)
			leaves[count] = (struct htree_leaf){
				i, names[i].hash | goes_on
			};
		count++;
		used = names[i].length;
	}
	return count;
}

/* The names by hash; the caller frees them. */
static int sorted_names(const struct tree *tree,
			const struct htree_rules *rules, const uint8_t *seed,
			const struct tree_info *dir,
			struct htree_name **ret_names)
{
	uint32_t n = dir->n_children;
	_cleanup_free_ struct htree_name *names = calloc(n, sizeof(*names));
	struct htree_name *sorted = calloc(n, sizeof(*sorted));
	struct hashing h = { rules, seed, dir->first_child, names };

	if (!names || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	tree_walk(tree, dir->first_child, dir->first_child + n, hash_child, &h);
	sort_names(names, sorted, n);
	*ret_names = sorted;
	return 0;
}

int htree_new(struct htree **ret_htree, const struct tree *tree,
	      const struct htree_rules *rules, const uint8_t seed[16],
	      const struct tree_info *dir)
{
	_cleanup_free_ struct htree_name *names = NULL;
	uint32_t n = dir->n_children;
	uint32_t n_leaves;
	struct htree *h;
	int r = sorted_names(tree, rules, seed, dir, &names);

	if (r < 0)
		return r;
	n_leaves = pack_leaves(names, n, NULL);
	if (n_leaves > rules->max_leaves)
		return -EFBIG;
	h = malloc(sizeof(*h) + n * sizeof(h->order[0]));
	if (!h)
		return -ENOMEM;
	*h = (struct htree){ .n_children = n, .n_leaves = n_leaves };
	atomic_init(&h->users, 1);
	h->leaves = calloc(n_leaves, sizeof(*h->leaves));
	if (!h->leaves) {
		free(h);
		return -ENOMEM;
	}
	pack_leaves(names, n, h->leaves);
	for (uint32_t i = 0; i < n; i++)
		h->order[i] = names[i].child;
	*ret_htree = h;
	return 0;
}

struct htree *htree_ref(struct htree *htree)
{
	atomic_fetch_add_explicit(&htree->users, 1, memory_order_relaxed);
	return htree;
}

void htree_unref(struct htree *htree)
{
	if (!htree || atomic_fetch_sub(&htree->users, 1) > 1)
		return;
	free(htree->leaves);
	free(htree);
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

const uint32_t *htree_children(const struct htree *htree, uint32_t leaf,
			       uint32_t *ret_n)
{
	const struct htree_leaf *l = &htree->leaves[leaf];
	uint32_t end = leaf + 1 < htree->n_leaves ? l[1].first
						  : htree->n_children;

	*ret_n = end - l->first;
	return htree->order + l->first;
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

static void put_entries(const struct htree *htree, const struct entries *e,
			uint32_t limit, uint8_t *at)
{
	const struct htree_leaf *leaves = htree->leaves;

	for (uint32_t i = 0; i < e->count; i++) {
		put_le32(at + i * 8, leaves[e->first_leaf + i * e->step].hash);
		put_le32(at + i * 8 + 4, e->first_block + i);
	}
	put_le16(at, (uint16_t)limit);
	put_le16(at + 2, (uint16_t)e->count);
}

static void render_root(const struct htree *htree, uint8_t *buf)
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
	put_entries(htree, &e, HTREE_ROOT_FANOUT, buf + ROOT_ENTRIES);
}

static void render_node(const struct htree *htree, uint32_t node, uint8_t *buf)
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
	put_entries(htree, &e, HTREE_NODE_FANOUT, buf + NODE_ENTRIES);
}

void htree_render(const struct htree *htree, uint32_t index, uint8_t *buf)
{
	if (index == 0)
		render_root(htree, buf);
	else
		render_node(htree, index - 1, buf);
}
