/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "ext2/plan.h"
#include "imgcore/diag.h"

/* Where the format, or its drivers, end. */
/*
 * Linux takes a larger inode for damaged, sparse or not, unless the feature
 * huge_file is there: that size without holes fills 2^32 sectors with its
 * indirect blocks (s_bitmap_maxbytes, fs/ext4/super.c).
 */
#define PLAIN_FILE_SIZE (UINT64_C(536346110) * EXT2_BLOCK)
#define MAX_FILE_SIZE	(UINT64_C(1) << 41)
#define MAX_LINKS	65000u
#define MAX_BLOCKS	(UINT64_C(1) << 29) /* 2 TiB */
#define FAST_LINK_BYTES 60u /* i_block, with its last byte 0 */
#define RESERVED_BLOCKS 4u /* lost+found is made with room: 16 KiB */

static int fail(const struct ext2_demand *d, tree_id node, struct diag *diag,
		int err, const char *reason)
{
	_cleanup_free_ char *path = NULL;

	(void)tree_host_path(d->tree, node, &path);
	return diag_set(diag, err, path, "%s", reason);
}

/* ---- sequence ---- */

/* How many nodes out of sequence stand before a node. */
static size_t apart_before(const struct ext2_demand *d, tree_id node)
{
	size_t lo = 0;
	size_t hi = d->apart.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->apart.items[mid] < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t demand_sequence(const struct ext2_demand *demand, tree_id node)
{
	if (node == TREE_ROOT)
		return 0;
	if (node == demand->lost_found)
		return 1;
	return 2 + node - (uint32_t)apart_before(demand, node);
}

tree_id demand_node(const struct ext2_demand *demand, uint32_t sequence)
{
	size_t lo = 0;
	size_t hi = demand->apart.count;

	if (sequence < 2)
		return sequence == 0 ? TREE_ROOT : demand->lost_found;
	sequence -= 2;
	/* How many stand apart before it: apart[i] - i never falls. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (demand->apart.items[mid] - mid <= sequence)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (tree_id)(sequence + lo);
}

uint32_t demand_inode(const struct ext2_demand *demand, tree_id node)
{
	return sequence_inode(
		demand_sequence(demand, tree_inode(demand->tree, node)));
}

/* ---- blocks of one inode ---- */

/* The first record of a node not below this one; all begin with their node. */
static size_t first_record(const void *records, size_t count, size_t size,
			   tree_id node)
{
	size_t lo = 0;
	size_t hi = count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		tree_id at;

		memcpy(&at, (const char *)records + mid * size, sizeof(at));
		if (at < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
static_assert(offsetof(struct sparse_file, node) == 0, "a record's node");
static_assert(offsetof(struct htree, node) == 0, "a record's node");

static const struct sparse_file *find_sparse(const struct ext2_demand *d,
					     tree_id node)
{
	return &d->sparse.items[first_record(d->sparse.items, d->sparse.count,
					     sizeof(*d->sparse.items), node)];
}

const struct htree *demand_htree(const struct ext2_demand *demand, tree_id node)
{
	size_t lo = first_record(demand->htrees.items, demand->htrees.count,
				 sizeof(*demand->htrees.items), node);

	if (lo == demand->htrees.count || demand->htrees.items[lo].node != node)
		return NULL;
	return &demand->htrees.items[lo];
}

uint32_t demand_dir_blocks(const struct ext2_demand *demand, tree_id node,
			   const struct tree_info *info)
{
	const struct htree *htree = demand_htree(demand, node);

	if (htree)
		return htree_blocks(htree);
	return info->reserved ? RESERVED_BLOCKS : 1;
}

/* Blocks of content, for what has no holes. */
static uint32_t dense_blocks(const struct ext2_demand *d, tree_id node,
			     const struct tree_info *info)
{
	if (S_ISDIR(info->attr.mode))
		return demand_dir_blocks(d, node, info);
	return (uint32_t)div_up(info->size, EXT2_BLOCK);
}

void demand_blockmap(const struct ext2_demand *demand, tree_id node,
		     const struct tree_info *info, struct block_run *dense,
		     struct blockmap *ret_map)
{
	if (info->sparse) {
		const struct sparse_file *f = find_sparse(demand, node);

		blockmap_load(ret_map, demand->runs.items + f->first, f->n);
		return;
	}
	*dense = (struct block_run){ .end = dense_blocks(demand, node, info) };
	blockmap_load(ret_map, dense, dense->end > 0);
}

static int index_dir(struct ext2_demand *d, tree_id node,
		     const struct tree_info *info, struct diag *diag)
{
	int r = htree_build(d, node, info);

	if (r == -EFBIG)
		return fail(
			d, node, diag, r,
			"more names than ext2's index of a directory holds (1 GiB of them)");
	return r < 0 ? diag_set(diag, r, NULL, NULL) : 0;
}

static int measure_dir(struct ext2_demand *d, tree_id node,
		       const struct tree_info *info, uint64_t *ret_blocks,
		       struct diag *diag)
{
	struct block_run run = { .end = info->reserved ? RESERVED_BLOCKS : 1 };
	struct blockmap map;

	if (info->n_subdirs + 2u > MAX_LINKS)
		d->dir_nlink = true;
	if (!dir_fits_block(d->tree, info)) {
		int r = index_dir(d, node, info, diag);

		if (r < 0)
			return r;
		run.end = htree_blocks(&d->htrees.items[d->htrees.count - 1]);
	}
	blockmap_load(&map, &run, 1);
	*ret_blocks = blockmap_total(&map);
	return 0;
}

/* Whole blocks of a sparse file's data, those that touch joined. */
static int add_runs(struct ext2_demand *d, tree_id node,
		    const struct tree_info *info)
{
	struct sparse_file *f;
	size_t first = d->runs.count;
	struct blockmap map;

	if (vec_reserve(&d->runs, info->n_extents) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < info->n_extents; i++) {
		uint32_t start =
			(uint32_t)(info->extents[i].start / EXT2_BLOCK);
		uint32_t end = (uint32_t)div_up(info->extents[i].end,
						EXT2_BLOCK);
		struct block_run *last = d->runs.items + d->runs.count;

		if (d->runs.count > first && last[-1].end >= start)
			last[-1].end = end;
		else
			d->runs.items[d->runs.count++] =
				(struct block_run){ start, end, { 0 } };
	}
	f = vec_push(&d->sparse);
	if (!f)
		return -ENOMEM;
	*f = (struct sparse_file){ node, (uint32_t)(d->runs.count - first),
				   first };
	blockmap_init(&map, d->runs.items + first, f->n);
	return 0;
}

static int measure_file(struct ext2_demand *d, tree_id node,
			const struct tree_info *info, uint64_t *ret_blocks,
			struct diag *diag)
{
	struct block_run dense;
	struct blockmap map;

	if (info->size >= MAX_FILE_SIZE)
		return fail(
			d, node, diag, -EFBIG,
			"a file of 2 TiB or more; ext2 holds none so large");
	if (info->size > PLAIN_FILE_SIZE)
		d->huge_file = true;
	if (info->sparse) {
		int r = add_runs(d, node, info);

		if (r < 0)
			return diag_set(diag, r, NULL, NULL);
	}
	demand_blockmap(d, node, info, &dense, &map);
	*ret_blocks = blockmap_total(&map);
	/* i_blocks counts sectors in 32 bits, one block of attributes too. */
	if ((*ret_blocks + (info->xattrs != 0)) * (EXT2_BLOCK / 512) >
	    UINT32_MAX)
		return fail(
			d, node, diag, -EFBIG,
			"takes 2 TiB with its indirect blocks; ext2 holds no such file");
	return 0;
}

/* The blocks of one inode; checks what the format cannot hold. */
static int measure(struct ext2_demand *d, tree_id node,
		   const struct tree_info *info, uint64_t *ret_blocks,
		   struct diag *diag)
{
	*ret_blocks = 0;
	if (S_ISDIR(info->attr.mode))
		return measure_dir(d, node, info, ret_blocks, diag);
	if (info->nlink > MAX_LINKS)
		return fail(d, node, diag, -EMLINK,
			    "more than 65000 hard links; ext2 holds no more");
	if (S_ISREG(info->attr.mode))
		return measure_file(d, node, info, ret_blocks, diag);
	if (S_ISLNK(info->attr.mode)) {
		if (info->size >= EXT2_BLOCK)
			return fail(
				d, node, diag, -ENAMETOOLONG,
				"a link's target of over 4095 bytes; ext2 holds no longer one");
		*ret_blocks = info->size >= FAST_LINK_BYTES;
	}
	return 0;
}

/* ---- the whole tree ---- */

static int find_lost_found(struct ext2_demand *d, struct diag *diag)
{
	static const char name[] = "lost+found";
	struct tree_info info;

	d->lost_found = tree_child(d->tree, TREE_ROOT, name, strlen(name));
	if (d->lost_found == TREE_NONE)
		return diag_set(diag, -EINVAL, name, "is missing");
	tree_get(d->tree, d->lost_found, &info);
	if (!S_ISDIR(info.attr.mode))
		return fail(
			d, d->lost_found, diag, -EINVAL,
			"is not a directory, and must be one on an ext2 file system; rename it");
	return 0;
}

/* Notes who has no inode number in sequence, and counts the others. */
static int number_inodes(struct ext2_demand *d, struct diag *diag)
{
	uint32_t count = tree_count(d->tree);

	for (tree_id id = 0; id < count; id++) {
		tree_id *apart;

		if (id != TREE_ROOT && id != d->lost_found &&
		    tree_inode(d->tree, id) == id)
			continue;
		apart = vec_push(&d->apart);
		if (!apart)
			return diag_set(diag, -ENOMEM, NULL, NULL);
		*apart = id;
	}
	d->inodes = 2 + count - (uint32_t)d->apart.count;
	if (d->inodes > UINT32_MAX - EXT2_GOOD_OLD_FIRST_INO)
		return fail(d, TREE_ROOT, diag, -EFBIG,
			    "more files than a file system has inode numbers");
	return 0;
}

static int place_blocks(struct ext2_demand *d, struct diag *diag)
{
	uint64_t used = 0;

	d->start = calloc((size_t)d->inodes + 1, sizeof(*d->start));
	if (!d->start)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	for (uint32_t s = 0; s < d->inodes; s++) {
		tree_id node = demand_node(d, s);
		struct tree_info info;
		uint64_t blocks;
		int r;

		tree_get(d->tree, node, &info);
		r = measure(d, node, &info, &blocks, diag);
		if (r < 0)
			return r;
		d->start[s] = (uint32_t)used;
		used += blocks;
		if (used >= MAX_BLOCKS)
			return fail(
				d, TREE_ROOT, diag, -EFBIG,
				"more than the 2 TiB that a disk with an MBR holds");
	}
	d->start[d->inodes] = (uint32_t)used;
	return 0;
}

static int by_node(const void *a, const void *b)
{
	tree_id x = ((const struct htree *)a)->node;
	tree_id y = ((const struct htree *)b)->node;

	return (x > y) - (x < y);
}

int demand_new_ruled(struct ext2_demand **ret_demand, const struct tree *tree,
		     const uint8_t seed[16], const struct htree_rules *rules,
		     struct diag *diag)
{
	_cleanup_(ext2_demand_freep) struct ext2_demand *d = calloc(1,
								    sizeof(*d));
	int r;

	if (!d)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	d->tree = tree;
	d->rules = *rules;
	memcpy(d->seed, seed, sizeof(d->seed));
	r = find_lost_found(d, diag);
	if (r < 0)
		return r;
	r = number_inodes(d, diag);
	if (r < 0)
		return r;
	r = place_blocks(d, diag);
	if (r < 0)
		return r;
	r = demand_place_xattrs(d, diag);
	if (r < 0)
		return r;
	if (d->xattr_blocks.count >= MAX_BLOCKS - demand_owned(d))
		return fail(
			d, TREE_ROOT, diag, -EFBIG,
			"more than the 2 TiB that a disk with an MBR holds");
	/* lost+found came second, whatever its node. */
	if (d->htrees.count > 1)
		qsort(d->htrees.items, d->htrees.count,
		      sizeof(*d->htrees.items), by_node);
	vec_shrink(&d->htrees);
	vec_shrink(&d->dir_order);
	vec_shrink(&d->dir_leaves);
	*ret_demand = take_ptr(d);
	return 0;
}

int ext2_demand_new(struct ext2_demand **ret_demand, const struct tree *tree,
		    const uint8_t seed[16], struct diag *diag)
{
	static const struct htree_rules rules = { htree_half_md4,
						  HTREE_MAX_LEAVES };

	return demand_new_ruled(ret_demand, tree, seed, &rules, diag);
}

void ext2_demand_free(struct ext2_demand *demand)
{
	if (!demand)
		return;
	free(demand->start);
	vec_free(&demand->apart);
	vec_free(&demand->htrees);
	vec_free(&demand->dir_order);
	vec_free(&demand->dir_leaves);
	vec_free(&demand->sparse);
	vec_free(&demand->runs);
	vec_free(&demand->xattr_blocks);
	free(demand->xattr_block);
	free(demand);
}
