/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <sys/stat.h>

#include "base/math.h"
#include "ext2/plan.h"
#include "ext2/render.h"

/* ---- the overhead at a group's beginning ---- */

static void set_place(struct place *p, enum place_kind kind, uint32_t start,
		      uint32_t end, uint32_t block)
{
	p->kind = kind;
	p->start = start;
	p->end = end;
	p->index = block - start;
}

static void locate_table(const struct ext2_plan *plan, uint32_t block,
			 struct place *p)
{
	const struct group *g = &plan->geometry.groups[p->group];
	uint32_t used = (uint32_t)div_up(plan_group_inodes(plan, p->group),
					 EXT2_BLOCK / 256);

	if (block < g->inode_table + used)
		set_place(p, PLACE_INODE_TABLE, g->inode_table,
			  g->inode_table + used, block);
	else
		set_place(p, PLACE_TABLE_REST, g->inode_table + used, g->data,
			  block);
}

static void locate_overhead(const struct ext2_plan *plan, uint32_t block,
			    struct place *p)
{
	const struct group *g = &plan->geometry.groups[p->group];

	if (block >= g->inode_table)
		locate_table(plan, block, p);
	else if (block == g->inode_bitmap)
		set_place(p, PLACE_INODE_BITMAP, block, block + 1, block);
	else if (block == g->block_bitmap)
		set_place(p, PLACE_BLOCK_BITMAP, block, block + 1, block);
	else if (block == g->start)
		set_place(p, PLACE_SUPER, block, block + 1, block);
	else
		set_place(p, PLACE_DESCRIPTORS, g->start + 1, g->block_bitmap,
			  block);
}

/* ---- data ---- */

/* The inode of the sequence whose blocks include an ordinal in use. */
static uint32_t find_owner(const struct ext2_demand *d, uint32_t ordinal)
{
	uint32_t lo = 0;
	uint32_t hi = d->inodes - 1;

	/* The last that starts at or before it: those of no blocks come first.
	 */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo + 1) / 2;

		if (d->start[mid] <= ordinal)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

/* Narrows [start, end) to ordinals [a, b), seen from `ordinal` at `block`. */
static void clip(struct place *p, uint32_t block, uint32_t ordinal, uint32_t a,
		 uint32_t b)
{
	p->start = (uint32_t)max_u64(p->start, block - (ordinal - a));
	p->end = (uint32_t)min_u64(p->end, (uint64_t)block + (b - ordinal));
}

/* A directory's or a file's block: content first, indirect blocks behind. */
static void locate_content(const struct ext2_demand *d, uint32_t block,
			   uint32_t ordinal, uint32_t first,
			   const struct tree_info *info, struct place *p)
{
	struct block_run dense;
	struct blockmap map;
	const struct block_run *run;

	demand_blockmap(d, p->node, info, &dense, &map);
	p->index = ordinal - first;
	if (p->index >= map.count[0]) {
		p->kind = PLACE_INDIRECT;
		clip(p, block, ordinal, first + map.count[0], UINT32_MAX);
		return;
	}
	p->kind = S_ISDIR(info->attr.mode) ? PLACE_DIRECTORY : PLACE_FILE;
	run = blockmap_run(&map, p->index);
	clip(p, block, ordinal, first + run->rank[0],
	     first + run->rank[0] + (run->end - run->start));
	p->file_offset = ((uint64_t)run->start + p->index - run->rank[0] -
			  (block - p->start)) *
			 EXT2_BLOCK;
}

static void locate_data(const struct ext2_plan *plan, uint32_t block,
			uint32_t ordinal, struct place *p)
{
	const struct ext2_demand *d = plan->demand;
	uint32_t sequence = find_owner(d, ordinal);
	uint32_t first = d->start[sequence];
	struct tree_info info;

	p->node = demand_node(d, sequence);
	clip(p, block, ordinal, first, d->start[sequence + 1]);
	tree_get(d->tree, p->node, &info);
	if (S_ISLNK(info.attr.mode))
		p->kind = PLACE_SYMLINK;
	else
		locate_content(d, block, ordinal, first, &info, p);
}

void plan_locate(const struct ext2_plan *plan, uint32_t block,
		 struct place *ret_place)
{
	const struct geometry *geo = &plan->geometry;
	uint32_t owned = demand_owned(plan->demand);
	uint32_t used = demand_used(plan->demand);
	struct place *p = ret_place;
	const struct group *g;
	uint32_t ordinal;

	*p = (struct place){
		.group = block / geo->blocks_per_group,
		.node = TREE_NONE,
	};
	g = &geo->groups[p->group];
	if (block < g->data) {
		locate_overhead(plan, block, p);
		return;
	}
	p->start = g->data;
	p->end = group_end(geo, p->group);
	ordinal = g->first_ordinal + (block - g->data);
	if (ordinal < owned) {
		locate_data(plan, block, ordinal, p);
		return;
	}
	if (ordinal < used) {
		p->kind = PLACE_XATTR;
		p->index = ordinal - owned;
		clip(p, block, ordinal, owned, used);
		return;
	}
	p->kind = PLACE_FREE;
	clip(p, block, ordinal, used, UINT32_MAX);
}

/* ---- the public view ---- */

static const struct {
	enum ext2_kind kind;
	const char *what;
} kinds[] = {
	[PLACE_SUPER] = { EXT2_RENDER, "superblock" },
	[PLACE_DESCRIPTORS] = { EXT2_RENDER, "group descriptors" },
	[PLACE_BLOCK_BITMAP] = { EXT2_RENDER, "block bitmap" },
	[PLACE_INODE_BITMAP] = { EXT2_RENDER, "inode bitmap" },
	[PLACE_INODE_TABLE] = { EXT2_RENDER, "inode table" },
	[PLACE_TABLE_REST] = { EXT2_ZERO, "free inodes" },
	[PLACE_FREE] = { EXT2_ZERO, "free blocks" },
	[PLACE_DIRECTORY] = { EXT2_RENDER, "directory" },
	[PLACE_SYMLINK] = { EXT2_RENDER, "symbolic link" },
	[PLACE_INDIRECT] = { EXT2_RENDER, "indirect blocks" },
	[PLACE_FILE] = { EXT2_FILE, "file" },
	[PLACE_XATTR] = { EXT2_RENDER, "extended attributes" },
};

void ext2_run_at(const struct ext2_plan *plan, uint32_t block,
		 struct ext2_run *ret_run)
{
	struct place p;

	plan_locate(plan, block, &p);
	*ret_run = (struct ext2_run){
		.start = p.start,
		.count = p.end - p.start,
		.kind = kinds[p.kind].kind,
		.what = kinds[p.kind].what,
		.node = p.node,
		.file_offset = p.file_offset,
	};
}

void ext2_render(const struct ext2_plan *plan, uint32_t block,
		 uint8_t buf[EXT2_BLOCK])
{
	struct place p;

	plan_locate(plan, block, &p);
	switch (p.kind) {
	case PLACE_SUPER:
		render_super(plan, p.group, buf);
		break;
	case PLACE_DESCRIPTORS:
		render_descriptors(plan, p.index, buf);
		break;
	case PLACE_BLOCK_BITMAP:
		render_block_bitmap(plan, p.group, buf);
		break;
	case PLACE_INODE_BITMAP:
		render_inode_bitmap(plan, p.group, buf);
		break;
	case PLACE_INODE_TABLE:
		render_inode_table(plan, p.group, p.index, buf);
		break;
	case PLACE_DIRECTORY:
		render_directory(plan, p.node, p.index, buf);
		break;
	case PLACE_SYMLINK:
		render_symlink(plan, p.node, buf);
		break;
	case PLACE_INDIRECT:
		render_indirect(plan, p.node, p.index, buf);
		break;
	case PLACE_XATTR:
		render_xattr(plan, p.index, buf);
		break;
	case PLACE_TABLE_REST:
	case PLACE_FREE:
	case PLACE_FILE:
		break;
	}
}
