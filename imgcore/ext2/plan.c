/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/plan.h"

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

uint32_t plan_group_inodes(const struct ext2_plan *plan, uint32_t group)
{
	uint64_t before = (uint64_t)group * plan->geometry.inodes_per_group;
	uint32_t last = plan_last_inode(plan);

	if (before >= last)
		return 0;
	return (uint32_t)min_u64(last - before,
				 plan->geometry.inodes_per_group);
}

uint32_t plan_group_used(const struct ext2_plan *plan, uint32_t group)
{
	const struct group *g = &plan->geometry.groups[group];
	uint32_t used = demand_used(plan->demand);

	if (g->first_ordinal >= used)
		return 0;
	return (uint32_t)min_u64(used - g->first_ordinal,
				 group_end(&plan->geometry, group) - g->data);
}

/* Inodes for what a guest adds in the free blocks. */
static uint64_t spare_inodes(const struct ext2_demand *d, uint64_t blocks)
{
	uint64_t used = demand_used(d);
	uint64_t free_blocks = blocks > used ? blocks - used : 0;

	return max_u64(free_blocks / FREE_BLOCKS_PER_INODE, LEAST_FREE_INODES);
}

/*
 * The geometry of that many blocks if it holds the tree; -ENOSPC and by how
 * many blocks it falls short if it does not.
 */
static int try_size(const struct ext2_demand *d, uint64_t blocks,
		    uint64_t free_blocks, uint64_t spare,
		    struct geometry *ret_geometry, uint64_t *ret_short,
		    struct diag *diag)
{
	uint64_t need = demand_used(d) + free_blocks;
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
static int choose_geometry(const struct ext2_demand *d, uint64_t blocks,
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

int ext2_demand_size(const struct ext2_demand *demand, uint64_t free,
		     uint64_t *ret_size, struct diag *diag)
{
	uint64_t free_blocks = div_up(free, EXT2_BLOCK);
	uint64_t blocks =
		max_u64(demand_used(demand) + free_blocks + demand->inodes / 16,
			LEAST_BLOCKS);

	/* Each step adds what was short: a few steps, since overhead is small.
	 */
	while (blocks < MAX_BLOCKS) {
		struct geometry geo;
		uint64_t more = 0;
		int r = try_size(demand, blocks, free_blocks,
				 spare_inodes(demand, blocks), &geo, &more,
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
static void count_dirs(struct ext2_plan *plan)
{
	struct geometry *geo = &plan->geometry;
	size_t n;
	const tree_id *dirs = tree_list(plan->demand->tree, TREE_LIST_DIRS, &n);

	for (size_t i = 0; i < n; i++) {
		uint32_t ino = demand_inode(plan->demand, dirs[i]);

		geo->groups[(ino - 1) / geo->inodes_per_group].used_dirs++;
	}
}

int plan_new(struct ext2_plan **ret_plan, struct ext2_demand *demand,
	     const struct ext2_options *options, struct diag *diag)
{
	_cleanup_free_ struct ext2_plan *plan = calloc(1, sizeof(*plan));
	struct geometry *geo;
	int r;

	if (!plan)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	geo = &plan->geometry;
	r = choose_geometry(demand,
			    min_u64(options->size / EXT2_BLOCK, MAX_BLOCKS),
			    div_up(options->free, EXT2_BLOCK), geo, diag);
	if (r == -ENOSPC)
		return diag_set(diag, r, NULL,
				"a partition of %llu bytes is too small",
				(unsigned long long)options->size);
	if (r < 0)
		return r;
	memcpy(plan->uuid, options->uuid, sizeof(plan->uuid));
	memcpy(plan->label, options->label,
	       strnlen(options->label, sizeof(plan->label)));
	plan->demand = demand;
	plan->free_blocks = geo->usable - demand_used(demand);
	plan->free_inodes = geo->inodes_per_group * geo->n_groups -
			    plan_last_inode(plan);
	count_dirs(plan);
	*ret_plan = take_ptr(plan);
	return 0;
}

void plan_free(struct ext2_plan *plan)
{
	if (!plan)
		return;
	geometry_release(&plan->geometry);
	ext2_demand_free(plan->demand);
	free(plan);
}
