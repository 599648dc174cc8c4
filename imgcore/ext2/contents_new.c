/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/contents_new.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/search.h"
#include "base/threads.h"
#include "base/units.h"
#include "base/vec.h"
#include "ext2/contents.h"
#include "ext2/dirent.h"
#include "ext2/layout.h"
#include "ext2/xattr.h"
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
#define FAST_LINK_BYTES 60u /* i_block, with its last byte 0 */

static int fail(const struct ext2_contents *d, tree_id node, struct diag *diag,
		int err, const char *reason)
{
	return tree_fail(d->tree, node, err, reason, diag);
}

/* ---- sparse files ---- */

/* Whole blocks of a sparse file's data, those that touch joined. */
static int add_runs(struct ext2_contents *d, tree_id node,
		    const struct tree_info *info)
{
	struct sparse_file *f;
	size_t first = d->runs.count;
	struct blockmap map;

	/* At least one: a file that is one hole has a place there too. */
	if (vec_reserve(&d->runs, info->n_extents + 1) < 0)
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

static int add_sparse_files(struct ext2_contents *d, struct diag *diag)
{
	size_t n;
	const tree_id *files = tree_list(d->tree, TREE_LIST_SPARSE, &n);

	for (size_t i = 0; i < n; i++) {
		struct tree_info info;

		tree_get(d->tree, files[i], &info);
		/* Such blocks have no number; measured, it will be refused. */
		if (!info.sparse || info.size >= MAX_FILE_SIZE)
			continue;
		if (add_runs(d, files[i], &info) < 0)
			return diag_set(diag, -ENOMEM, NULL, NULL);
	}
	return 0;
}

/* ---- directories that have an index ---- */

struct indexing {
	struct ext2_contents *contents;
	atomic_bool no_memory;
};

static void index_dir(void *context, size_t i)
{
	struct indexing *x = context;
	struct indexed *dir = &x->contents->htrees.items[i];
	struct tree_info info;
	int r;

	if (dir->htree)
		return;
	tree_get(x->contents->tree, dir->node, &info);
	r = htree_new(&dir->htree, x->contents->tree, &x->contents->rules,
		      x->contents->seed, &info);
	if (r == 0) {
		dir->htree->shared = tree_shared(x->contents->tree, dir->node);
		return;
	}
	/* Too many names, if nothing else: it has no index, and is named later.
	 */
	if (r == -ENOMEM)
		x->no_memory = true;
}

static int check_indexes(struct ext2_contents *d, struct diag *diag)
{
	for (size_t i = 0; i < d->htrees.count; i++) {
		int r;

		if (d->htrees.items[i].htree)
			continue;
		r = fail(
			d, d->htrees.items[i].node, diag, -EFBIG,
			"more names than ext2's index of a directory holds (1 GiB of them)");
		r = diag_report(diag, r);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Lists the directories that get an index. */
static int find_indexed(struct ext2_contents *d)
{
	size_t n;
	const tree_id *dirs = tree_list(d->tree, TREE_LIST_DIRS, &n);

	for (size_t i = 0; i < n; i++) {
		struct indexed *dir;
		struct tree_info info;

		tree_get(d->tree, dirs[i], &info);
		if (dirent_fit_block(d->tree, &info))
			continue;
		dir = vec_push(&d->htrees);
		if (!dir)
			return -ENOMEM;
		dir->node = dirs[i];
	}
	vec_shrink(&d->htrees);
	return 0;
}

static int by_shared(const void *a, const void *b)
{
	uintptr_t x = (*(struct htree *const *)a)->shared;
	uintptr_t y = (*(struct htree *const *)b)->shared;

	return (x > y) - (x < y);
}

/* Takes the indexes of directories that an earlier tree shares. */
static int share_indexes(struct ext2_contents *d,
			 const struct ext2_contents *previous)
{
	size_t n = previous->htrees.count;
	_cleanup_free_ struct htree **old = calloc(n + 1, sizeof(*old));

	if (!old)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		old[i] = previous->htrees.items[i].htree;
	if (n > 1)
		qsort(old, n, sizeof(*old), by_shared);
	for (size_t i = 0; i < d->htrees.count; i++) {
		struct indexed *dir = &d->htrees.items[i];
		struct htree want = { .shared = tree_shared(d->tree,
							    dir->node) };
		struct htree *key = &want;
		struct htree **found = bsearch(&key, old, n, sizeof(*old),
					       by_shared);

		if (found)
			dir->htree = htree_ref(*found);
	}
	return 0;
}

static int index_dirs(struct ext2_contents *d,
		      const struct ext2_contents *previous, struct diag *diag)
{
	struct indexing x = { .contents = d };
	int r = find_indexed(d);

	if (r == 0 && previous && memcmp(previous->seed, d->seed, 16) == 0 &&
	    previous->rules.hash == d->rules.hash)
		r = share_indexes(d, previous);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	threads_share(d->htrees.count, index_dir, &x);
	if (x.no_memory)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	return check_indexes(d, diag);
}

/* ---- what each inode takes ---- */

/* So many inodes are measured by one thread at a time. */
#define STRETCH 16384u

/* What the format cannot hold, and why. */
struct refusal {
	tree_id node;
	int error; /* 0: it can */
	const char *reason;
};

struct measuring {
	struct ext2_contents *contents;
	atomic_bool huge_file;
	atomic_bool dir_nlink;
	bool all; /* of a stretch's refusals, not its first alone */
	pthread_mutex_t mutex; /* holds for what follows */
	struct {
		struct refusal *items;
		size_t count, size;
	} refusals;
	bool no_memory;
};

/* A stretch of nodes on its way. */
struct stretch {
	struct measuring *measuring;
	uint32_t inode_index; /* of the next inode, but for the two first */
	bool over;
};

static uint64_t measure_dir(struct measuring *m, tree_id node,
			    const struct tree_info *info)
{
	struct block_run run = {
		.end = contents_dir_blocks(m->contents, node, info),
	};
	struct blockmap map;

	if (info->n_subdirs + 2u > MAX_LINKS)
		m->dir_nlink = true;
	blockmap_load(&map, &run, 1);
	return blockmap_total(&map);
}

static uint64_t measure_file(struct measuring *m, tree_id node,
			     const struct tree_info *info,
			     struct refusal *refusal)
{
	struct block_run dense;
	struct blockmap map;
	uint64_t blocks;

	if (info->size >= MAX_FILE_SIZE) {
		*refusal = (struct refusal){
			node, -EFBIG,
			"a file of 2 TiB or more; ext2 holds none so large"
		};
		return 0;
	}
	if (info->size > PLAIN_FILE_SIZE)
		m->huge_file = true;
	contents_blockmap(m->contents, node, info, &dense, &map);
	blocks = blockmap_total(&map);
	/* i_blocks counts sectors in 32 bits, one block of attributes too. */
	if ((blocks + (info->xattrs != 0)) * (EXT2_BLOCK / SECTOR) > UINT32_MAX)
		*refusal = (struct refusal){
			node, -EFBIG,
			"takes 2 TiB with its indirect blocks; ext2 holds no such file"
		};
	return blocks;
}

/* The blocks of one inode; checks what the format cannot hold. */
static uint64_t measure(struct measuring *m, tree_id node,
			const struct tree_info *info, struct refusal *refusal)
{
	if (S_ISDIR(info->attr.mode))
		return measure_dir(m, node, info);
	if (info->nlink > MAX_LINKS)
		*refusal = (struct refusal){
			node, -EMLINK,
			"more than 65000 hard links; ext2 holds no more"
		};
	if (S_ISREG(info->attr.mode))
		return measure_file(m, node, info, refusal);
	if (!S_ISLNK(info->attr.mode))
		return 0;
	if (info->size >= EXT2_BLOCK)
		*refusal = (struct refusal){
			node, -ENAMETOOLONG,
			"a link's target of over 4095 bytes; ext2 holds no longer one"
		};
	return info->size >= FAST_LINK_BYTES;
}

static void note_refusal(struct measuring *m, const struct refusal *refusal)
{
	struct refusal *noted;

	pthread_mutex_lock(&m->mutex);
	noted = vec_push(&m->refusals);
	if (noted)
		*noted = *refusal;
	else
		m->no_memory = true;
	pthread_mutex_unlock(&m->mutex);
}

static void measure_node(void *context, tree_id id,
			 const struct tree_info *info)
{
	struct stretch *stretch = context;
	struct ext2_contents *d = stretch->measuring->contents;
	struct refusal refusal = { 0 };
	uint32_t inode_index;

	if (info->inode != id || stretch->over)
		return;
	if (id == TREE_ROOT)
		inode_index = 0;
	else if (id == d->lost_found)
		inode_index = 1;
	else
		inode_index = stretch->inode_index++;
	d->first_block[inode_index] = (uint32_t)measure(stretch->measuring, id,
							info, &refusal);
	if (!refusal.error)
		return;
	d->first_block[inode_index] = 0;
	note_refusal(stretch->measuring, &refusal);
	stretch->over = !stretch->measuring->all;
}

static void measure_stretch(void *context, size_t i)
{
	struct measuring *m = context;
	struct ext2_contents *d = m->contents;
	tree_id id = (tree_id)(i * STRETCH);
	uint32_t count = tree_count(d->tree);
	struct stretch stretch = {
		.measuring = m,
		.inode_index = 2 + id -
			       (uint32_t)contents_out_of_order_before(d, id),
	};

	tree_walk(d->tree, id, id + (uint32_t)min_u64(STRETCH, count - id),
		  measure_node, &stretch);
}

static int by_node(const void *a, const void *b)
{
	tree_id x = ((const struct refusal *)a)->node;
	tree_id y = ((const struct refusal *)b)->node;

	return (x > y) - (x < y);
}

/* Those of all threads, in the order of the tree. */
static int check_refusals(struct measuring *m, struct diag *diag)
{
	int r = m->no_memory ? diag_set(diag, -ENOMEM, NULL, NULL) : 0;

	if (m->refusals.count > 1)
		qsort(m->refusals.items, m->refusals.count,
		      sizeof(*m->refusals.items), by_node);
	for (size_t i = 0; i < m->refusals.count && r == 0; i++) {
		const struct refusal *refusal = &m->refusals.items[i];

		r = diag_report(diag, fail(m->contents, refusal->node, diag,
					   refusal->error, refusal->reason));
	}
	return r;
}

/* Leaves the blocks of each inode in contents.first_block. */
static int measure_inodes(struct ext2_contents *d, struct diag *diag)
{
	struct measuring m = { .contents = d, .all = diag_has_sink(diag) };
	int r;

	d->first_block = calloc((size_t)d->inodes + 1, sizeof(*d->first_block));
	if (!d->first_block)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	pthread_mutex_init(&m.mutex, NULL);
	threads_share(div_up(tree_count(d->tree), STRETCH), measure_stretch,
		      &m);
	pthread_mutex_destroy(&m.mutex);
	r = check_refusals(&m, diag);
	vec_free(&m.refusals);
	d->huge_file = m.huge_file;
	d->dir_nlink = m.dir_nlink;
	return r;
}

/* ---- the whole tree ---- */

static int find_lost_found(struct ext2_contents *d, struct diag *diag)
{
	static const char name[] = "lost+found";
	struct tree_info info;
	int r;

	d->lost_found = tree_child(d->tree, TREE_ROOT, name, strlen(name));
	if (d->lost_found == TREE_NONE)
		return diag_set(diag, -EINVAL, name, "is missing");
	tree_get(d->tree, d->lost_found, &info);
	if (S_ISDIR(info.attr.mode))
		return 0;
	r = fail(
		d, d->lost_found, diag, -EINVAL,
		"is not a directory, and must be one on an ext2 file system; rename it");
	/* Told, it only has to be something with an inode of its own. */
	d->lost_found = info.inode;
	return diag_report(diag, r);
}

/* Lists the nodes that are out of order, and counts the inodes. */
static int number_inodes(struct ext2_contents *d, struct diag *diag)
{
	size_t n;
	const tree_id *links = tree_list(d->tree, TREE_LIST_LINKS, &n);
	tree_id *next;
	size_t i = 0;

	if (vec_reserve(&d->out_of_order, n + 2) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	next = d->out_of_order.items;
	*next++ = TREE_ROOT;
	while (i < n && links[i] < d->lost_found)
		*next++ = links[i++];
	*next++ = d->lost_found;
	while (i < n)
		*next++ = links[i++];
	d->out_of_order.count = n + 2;
	d->inodes = tree_count(d->tree) - (uint32_t)n;
	if (d->inodes > UINT32_MAX - EXT2_GOOD_OLD_FIRST_INO)
		return fail(d, TREE_ROOT, diag, -EFBIG,
			    "more files than a file system has inode numbers");
	return 0;
}

/* From the blocks of each inode to the first of each. */
static int place_blocks(struct ext2_contents *d, struct diag *diag)
{
	uint64_t used = 0;

	for (uint32_t s = 0; s <= d->inodes; s++) {
		uint32_t blocks = d->first_block[s];

		d->first_block[s] = (uint32_t)used;
		used += blocks;
		if (used >= MAX_BLOCKS)
			return fail(
				d, TREE_ROOT, diag, -EFBIG,
				"more than the 2 TiB that a disk with an MBR holds");
	}
	return 0;
}

int contents_new_ruled(struct ext2_contents **ret_contents,
		       const struct tree *tree, const uint8_t seed[16],
		       const struct htree_rules *rules,
		       const struct ext2_contents *previous, struct diag *diag)
{
	_cleanup_(ext2_contents_freep) struct ext2_contents *d =
		calloc(1, sizeof(*d));
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
	r = index_dirs(d, previous, diag);
	if (r < 0)
		return r;
	r = add_sparse_files(d, diag);
	if (r < 0)
		return r;
	r = measure_inodes(d, diag);
	if (r < 0)
		return r;
	r = xattr_place(d, diag);
	if (r < 0)
		return r;
	r = place_blocks(d, diag);
	if (r < 0)
		return r;
	if (d->xattr_blocks.count >= MAX_BLOCKS - contents_owned(d))
		return fail(
			d, TREE_ROOT, diag, -EFBIG,
			"more than the 2 TiB that a disk with an MBR holds");
	*ret_contents = take_ptr(d);
	return 0;
}

int ext2_contents_new(struct ext2_contents **ret_contents,
		      const struct tree *tree, const uint8_t seed[16],
		      const struct volume *previous, struct diag *diag)
{
	static const struct htree_rules rules = { htree_half_md4,
						  HTREE_MAX_LEAVES };

	return contents_new_ruled(
		ret_contents, tree, seed, &rules,
		previous ? ext2_layout_of(previous)->contents : NULL, diag);
}
