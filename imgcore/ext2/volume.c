/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/volume.h"

#include <sys/stat.h>

#include "base/math.h"
#include "base/search.h"
#include "ext2/bitmap.h"
#include "ext2/dir.h"
#include "ext2/inode.h"
#include "ext2/layout.h"
#include "ext2/super.h"
#include "ext2/xattr.h"

enum structure {
	SUPER,
	DESCRIPTORS,
	BLOCK_BITMAP,
	INODE_BITMAP,
	INODE_TABLE,
	FREE_INODES,
	FREE_BLOCKS,
	DIRECTORY,
	SYMLINK,
	INDIRECT,
	FILE_DATA,
	XATTRS,
};

static const struct {
	enum region_kind kind;
	const char *what;
} structures[] = {
	[SUPER] = { REGION_RENDER, "superblock" },
	[DESCRIPTORS] = { REGION_RENDER, "group descriptors" },
	[BLOCK_BITMAP] = { REGION_RENDER, "block bitmap" },
	[INODE_BITMAP] = { REGION_RENDER, "inode bitmap" },
	[INODE_TABLE] = { REGION_RENDER, "inode table" },
	[FREE_INODES] = { REGION_ZERO, "free inodes" },
	[FREE_BLOCKS] = { REGION_ZERO, "free blocks" },
	[DIRECTORY] = { REGION_RENDER, "directory" },
	[SYMLINK] = { REGION_RENDER, "symbolic link" },
	[INDIRECT] = { REGION_RENDER, "indirect blocks" },
	[FILE_DATA] = { REGION_FILE, "file" },
	[XATTRS] = { REGION_RENDER, "extended attributes" },
};

/* Blocks [start, end) of a structure, of which start is number index. */
static void set_region(struct region *r, enum structure structure,
		       uint64_t start, uint64_t end, uint32_t index)
{
	r->start = start * EXT2_BLOCK;
	r->end = end * EXT2_BLOCK;
	r->kind = structures[structure].kind;
	r->what = structures[structure].what;
	r->structure = structure;
	r->index = index;
}

static void locate_overhead(const struct ext2_layout *layout, uint32_t group,
			    uint32_t block, struct region *r)
{
	const struct group *g = &layout->geometry.groups[group];
	uint32_t used = (uint32_t)div_up(layout_group_inodes(layout, group),
					 INODES_PER_BLOCK);
	uint32_t unused = g->inode_table + used;

	if (block >= unused)
		set_region(r, FREE_INODES, unused, g->data, 0);
	else if (block >= g->inode_table)
		set_region(r, INODE_TABLE, g->inode_table, unused,
			   group * layout->geometry.table_blocks);
	else if (block == g->inode_bitmap)
		set_region(r, INODE_BITMAP, block, block + 1, group);
	else if (block == g->block_bitmap)
		set_region(r, BLOCK_BITMAP, block, block + 1, group);
	else if (block == g->start)
		set_region(r, SUPER, block, block + 1, group);
	else
		set_region(r, DESCRIPTORS, g->start + 1, g->block_bitmap, 0);
}

/* The index of the inode whose blocks include an ordinal in use. */
static uint32_t find_owner(const struct ext2_contents *d, uint32_t ordinal)
{
	/* The last that starts at or before it: those of no blocks come first.
	 */
	return (uint32_t)search_first(d->inodes, i,
				      d->first_block[i] <= ordinal) -
	       1;
}

/* Ordinals [first, end) of one structure. */
struct ordinals {
	enum structure structure;
	uint32_t first;
	uint32_t end;
	uint32_t index; /* of the first */
};

/* The owner of an ordinal: content first, indirect blocks after it. */
static struct ordinals locate_owned(const struct ext2_contents *d,
				    uint32_t ordinal, struct region *r)
{
	uint32_t inode_index = find_owner(d, ordinal);
	uint32_t first = d->first_block[inode_index];
	struct ordinals o = { SYMLINK, first, d->first_block[inode_index + 1],
			      0 };
	const struct block_run *run;
	struct block_run dense;
	struct tree_info info;
	struct blockmap map;

	r->node = contents_node(d, inode_index);
	tree_get(d->tree, r->node, &info);
	if (S_ISLNK(info.attr.mode))
		return o;
	contents_blockmap(d, r->node, &info, &dense, &map);
	if (ordinal - first >= map.count[0]) {
		o.structure = INDIRECT;
		o.index = map.count[0];
		o.first += o.index;
		return o;
	}
	run = blockmap_run(&map, ordinal - first);
	o.structure = S_ISDIR(info.attr.mode) ? DIRECTORY : FILE_DATA;
	o.index = run->rank[0];
	o.first += o.index;
	o.end = o.first + (run->end - run->start);
	r->node_offset = (uint64_t)run->start * EXT2_BLOCK;
	return o;
}

static void locate(const struct volume *volume, uint64_t number,
		   struct region *ret_region)
{
	const struct ext2_layout *layout = ext2_layout_of(volume);
	const struct geometry *geo = &layout->geometry;
	uint32_t block = (uint32_t)number;
	uint32_t group = block / geo->blocks_per_group;
	const struct group *g = &geo->groups[group];
	uint32_t owned = contents_owned(layout->contents);
	uint32_t used = contents_used(layout->contents);
	uint32_t ordinal = g->first_ordinal + (block - g->data);
	uint32_t first = g->first_ordinal;
	struct ordinals o;
	uint32_t end;

	*ret_region = (struct region){ .node = TREE_NONE };
	if (block < g->data) {
		locate_overhead(layout, group, block, ret_region);
		return;
	}
	if (ordinal < owned)
		o = locate_owned(layout->contents, ordinal, ret_region);
	else if (ordinal < used)
		o = (struct ordinals){ XATTRS, owned, used, 0 };
	else
		o = (struct ordinals){ FREE_BLOCKS, used, UINT32_MAX, 0 };
	/* A region ends with its group. */
	end = (uint32_t)min_u64(
		o.end, (uint64_t)first + (group_end(geo, group) - g->data));
	if (first > o.first) {
		o.index += first - o.first;
		ret_region->node_offset += (uint64_t)(first - o.first) *
					   EXT2_BLOCK;
	} else {
		first = o.first;
	}
	set_region(ret_region, o.structure,
		   g->data + (first - g->first_ordinal),
		   g->data + (end - g->first_ordinal), o.index);
	if (ret_region->kind != REGION_FILE)
		ret_region->node_offset = 0;
}

static void render(const struct volume *volume, const struct region *region,
		   uint64_t n, uint8_t *buf)
{
	const struct ext2_layout *layout = ext2_layout_of(volume);
	uint32_t index = region->index + (uint32_t)n;

	switch ((enum structure)region->structure) {
	case SUPER:
		super_render(layout, index, buf);
		break;
	case DESCRIPTORS:
		super_render_descriptors(layout, index, buf);
		break;
	case BLOCK_BITMAP:
		bitmap_render_blocks(layout, index, buf);
		break;
	case INODE_BITMAP:
		bitmap_render_inodes(layout, index, buf);
		break;
	case INODE_TABLE:
		inode_render_table(layout, index, buf);
		break;
	case DIRECTORY:
		dir_render(layout, region->node, index, buf);
		break;
	case SYMLINK:
		inode_render_symlink(layout, region->node, buf);
		break;
	case INDIRECT:
		inode_render_indirect(layout, region->node, index, buf);
		break;
	case XATTRS:
		xattr_render(layout, index, buf);
		break;
	case FREE_INODES:
	case FREE_BLOCKS:
	case FILE_DATA:
		break;
	}
}

static uint64_t data_size(const struct volume *volume)
{
	const struct ext2_layout *layout = ext2_layout_of(volume);
	const struct geometry *geo = &layout->geometry;
	uint64_t blocks = contents_used(layout->contents);

	for (uint32_t g = 0; g < geo->n_groups; g++) {
		if (geometry_has_super(g))
			blocks += 1 + geo->desc_blocks;
		blocks += 2 + div_up(layout_group_inodes(layout, g),
				     INODES_PER_BLOCK);
	}
	return blocks * EXT2_BLOCK;
}

static void free_volume(struct volume *volume)
{
	layout_free((struct ext2_layout *)volume);
}

static const struct volume_ops ops = {
	.locate = locate,
	.render = render,
	.data_size = data_size,
	.free = free_volume,
};

int ext2_volume_new(struct volume **ret_volume, struct ext2_contents *contents,
		    const struct ext2_options *options, struct diag *diag)
{
	struct ext2_layout *layout;
	int r = layout_new(&layout, contents, options, diag);

	if (r < 0)
		return r;
	layout->volume = (struct volume){
		.ops = &ops,
		.blocks = layout->geometry.blocks,
		.block_size = EXT2_BLOCK,
	};
	*ret_volume = &layout->volume;
	return 0;
}
