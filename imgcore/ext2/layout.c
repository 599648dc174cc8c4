/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/diag.h"

#define LEAST_BLOCKS	  64u
#define LEAST_FREE_INODES 16u
#define FREE_BLOCKS_PER_INODE                          \
	4u /* an inode for each 16 KiB, as mke2fs does \
	    */

uint32_t layout_group_inodes(const struct ext2_layout *layout, uint32_t group)
{
	uint64_t before = (uint64_t)group * layout->geometry.inodes_per_group;
	uint32_t last = layout_last_inode(layout);

	if (before >= last)
		return 0;
	return (uint32_t)min_u64(last - before,
				 layout->geometry.inodes_per_group);
}

uint32_t layout_group_used(const struct ext2_layout *layout, uint32_t group)
{
	const struct group *g = &layout->geometry.groups[group];
	uint32_t used = contents_used(layout->contents);

	if (g->first_ordinal >= used)
		return 0;
	return (uint32_t)min_u64(used - g->first_ordinal,
				 group_end(&layout->geometry, group) - g->data);
}

/* Inodes for what a guest adds in the free blocks. */
static uint64_t spare_inodes(const struct ext2_contents *d, uint64_t blocks)
{
	uint64_t used = contents_used(d);
	uint64_t free_blocks = blocks > used ? blocks - used : 0;

	return max_u64(free_blocks / FREE_BLOCKS_PER_INODE, LEAST_FREE_INODES);
}

/*
 * The geometry of that many blocks if it holds the tree; -ENOSPC and by how
 * many blocks it falls short if it does not.
 */
static int try_size(const struct ext2_contents *d, uint64_t blocks,
		    uint64_t free_blocks, uint64_t spare,
		    struct geometry *ret_geometry, uint64_t *ret_short,
		    struct diag *diag)
{
	uint64_t need = contents_used(d) + free_blocks;
	uint64_t inodes = min_u64(EXT2_GOOD_OLD_FIRST_INO + d->inodes + spare,
				  UINT32_MAX);
	int r = geometry_init(ret_geometry, (uint32_t)blocks, (uint32_t)inodes,
			      diag);

	if (r == -ENOSPC)
		*ret_short = max_u64(blocks / 8, LEAST_BLOCKS);
	if (r < 0)
		return r;
	if (ret_geometry->usable >= need)
		return 0;
	*ret_short = need - ret_geometry->usable;
	geometry_release(ret_geometry);
	return -ENOSPC;
}

/*
 * The geometry of that many blocks. Each group rounds its inode table up, so
 * a few blocks more than were asked for may leave fewer for data: what is
 * short then comes off the spare inodes.
 */
static int choose_geometry(const struct ext2_contents *d, uint64_t blocks,
			   uint64_t free_blocks, struct geometry *ret_geometry,
			   struct diag *diag)
{
	uint64_t spare = spare_inodes(d, blocks);

	for (;;) {
		uint64_t more;
		int r = try_size(d, blocks, free_blocks, spare, ret_geometry,
				 &more, diag);

		if (r != -ENOSPC || spare == LEAST_FREE_INODES)
			return r;
		spare = max_u64(spare - spare / 8 - 1, LEAST_FREE_INODES);
	}
}

int ext2_contents_size(const struct ext2_contents *contents, uint64_t free,
		       uint64_t *ret_size, struct diag *diag)
{
	uint64_t free_blocks = div_up(free, EXT2_BLOCK);
	uint64_t blocks = max_u64(contents_used(contents) + free_blocks +
					  contents->inodes / 16,
				  LEAST_BLOCKS);

	/* Each step adds what was short: a few steps, since overhead is small.
	 */
	while (blocks < MAX_BLOCKS) {
		struct geometry geo;
		uint64_t more = 0;
		int r = try_size(contents, blocks, free_blocks,
				 spare_inodes(contents, blocks), &geo, &more,
				 diag);

		if (r == -ENOSPC) {
			blocks += more;
			continue;
		}
		if (r < 0)
			return r;
		geometry_release(&geo);
		*ret_size = blocks * EXT2_BLOCK;
		return 0;
	}
	return diag_set(
		diag, -EFBIG, NULL,
		"the tree and its free space need more than the 2 TiB that a disk with an MBR holds");
}

/* Directories in each group, for its descriptor. */
static void count_dirs(struct ext2_layout *layout)
{
	struct geometry *geo = &layout->geometry;
	size_t n;
	const tree_id *dirs = tree_list(layout->contents->tree, TREE_LIST_DIRS,
					&n);

	for (size_t i = 0; i < n; i++) {
		uint32_t ino = contents_inode(layout->contents, dirs[i]);

		geo->groups[(ino - 1) / geo->inodes_per_group].used_dirs++;
	}
}

int layout_new(struct ext2_layout **ret_layout, struct ext2_contents *contents,
	       const struct ext2_options *options, struct diag *diag)
{
	_cleanup_free_ struct ext2_layout *layout = calloc(1, sizeof(*layout));
	struct geometry *geo;
	int r;

	if (!layout)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	geo = &layout->geometry;
	r = choose_geometry(contents,
			    min_u64(options->size / EXT2_BLOCK, MAX_BLOCKS),
			    div_up(options->free, EXT2_BLOCK), geo, diag);
	if (r == -ENOSPC)
		return diag_set(diag, r, NULL,
				"a partition of %llu bytes is too small",
				(unsigned long long)options->size);
	if (r < 0)
		return r;
	memcpy(layout->uuid, options->uuid, sizeof(layout->uuid));
	memcpy(layout->label, options->label,
	       strnlen(options->label, sizeof(layout->label)));
	layout->contents = contents;
	layout->free_blocks = geo->usable - contents_used(contents);
	layout->free_inodes = geo->inodes_per_group * geo->n_groups -
			      layout_last_inode(layout);
	count_dirs(layout);
	*ret_layout = take_ptr(layout);
	return 0;
}

void layout_free(struct ext2_layout *layout)
{
	if (!layout)
		return;
	geometry_release(&layout->geometry);
	ext2_contents_free(layout->contents);
	free(layout);
}
