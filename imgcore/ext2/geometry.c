/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/geometry.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/search.h"
#include "imgcore/diag.h"
#include "imgcore/ext2.h"

/*
 * libext2fs lays the groups out, over a device that takes everything and keeps
 * nothing; what it decided is copied into our small table and the rest freed.
 */

/* ---- the device ---- */

static errcode_t null_open(const char *name, int flags, io_channel *channel);

static errcode_t null_close(io_channel channel)
{
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t null_set_blksize(io_channel channel, int blksize)
{
	channel->block_size = blksize;
	return 0;
}

static errcode_t null_read(io_channel channel, unsigned long block, int count,
			   void *data)
{
	memset(data, 0,
	       count < 0 ? (size_t)-count
			 : (size_t)count * (size_t)channel->block_size);
	return 0;
}

static errcode_t null_read64(io_channel channel, unsigned long long block,
			     int count, void *data)
{
	return null_read(channel, 0, count, data);
}

static errcode_t null_write(io_channel channel, unsigned long block, int count,
			    const void *data)
{
	return 0;
}

static errcode_t null_write64(io_channel channel, unsigned long long block,
			      int count, const void *data)
{
	return 0;
}

static errcode_t null_flush(io_channel channel)
{
	return 0;
}

static struct struct_io_manager null_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "discarding device",
	.open = null_open,
	.close = null_close,
	.set_blksize = null_set_blksize,
	.read_blk = null_read,
	.write_blk = null_write,
	.flush = null_flush,
	.read_blk64 = null_read64,
	.write_blk64 = null_write64,
};

static errcode_t null_open(const char *name, int flags, io_channel *channel)
{
	io_channel c = calloc(1, sizeof(*c));

	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &null_manager;
	c->name = strdup(name);
	c->block_size = 1024;
	c->refcount = 1;
	*channel = c;
	return 0;
}

/* ---- the layout ---- */

/* 64 GiB. */
#define PLAIN_BITMAP_BLOCKS (1u << 24)

DEFINE_CLEANUP(struct struct_ext2_filsys, ext2fs_free)

static errcode_t make_layout(uint32_t blocks, uint32_t inodes, ext2_filsys *fs)
{
	struct ext2_super_block param = {
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_blocks_count = blocks,
		.s_inodes_count = inodes,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_inode_size = INODE_SIZE,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE,
		.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
				       EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
	};
	/*
	 * Its 64-bit bitmaps are trees that abort where they find no memory. A
	 * plain bitmap fails as it should, but costs 30 us and 32 KiB for each
	 * GiB: large disks take the trees.
	 */
	int flags = blocks > PLAIN_BITMAP_BLOCKS ? EXT2_FLAG_64BITS : 0;
	errcode_t err = ext2fs_initialize("disk", flags, &param, &null_manager,
					  fs);

	return err ? err : ext2fs_allocate_tables(*fs);
}

/*
 * Takes a group over. Its overhead must be one run at its beginning: on that
 * all our arithmetic rests.
 */
static int take_group(ext2_filsys fs, struct geometry *geo, uint32_t g)
{
	struct group *group = &geo->groups[g];
	uint32_t super = geometry_has_super(g) ? 1 + geo->desc_blocks : 0;

	group->start = g * geo->blocks_per_group;
	group->block_bitmap = (uint32_t)ext2fs_block_bitmap_loc(fs, g);
	group->inode_bitmap = (uint32_t)ext2fs_inode_bitmap_loc(fs, g);
	group->inode_table = (uint32_t)ext2fs_inode_table_loc(fs, g);
	group->data = group->inode_table + geo->table_blocks;
	group->first_ordinal = geo->usable;
	if (ext2fs_bg_has_super(fs, (int)g) != (super > 0) ||
	    group->block_bitmap != group->start + super ||
	    group->inode_bitmap != group->block_bitmap + 1 ||
	    group->inode_table != group->inode_bitmap + 1 ||
	    group->data > group_end(geo, g))
		return -ENOTSUP;
	geo->usable += group_end(geo, g) - group->data;
	return 0;
}

static int take_layout(ext2_filsys fs, struct geometry *geo)
{
	*geo = (struct geometry){
		.blocks = (uint32_t)ext2fs_blocks_count(fs->super),
		.blocks_per_group = fs->super->s_blocks_per_group,
		.inodes_per_group = fs->super->s_inodes_per_group,
		.table_blocks = fs->inode_blocks_per_group,
		.desc_blocks = (uint32_t)fs->desc_blocks,
		.n_groups = fs->group_desc_count,
	};
	geo->groups = calloc(geo->n_groups, sizeof(*geo->groups));
	if (!geo->groups)
		return -ENOMEM;
	for (uint32_t g = 0; g < geo->n_groups; g++) {
		int r = take_group(fs, geo, g);

		if (r < 0)
			return r;
	}
	return 0;
}

int geometry_init(struct geometry *geometry, uint32_t blocks, uint32_t inodes,
		  struct diag *diag)
{
	_cleanup_(ext2fs_freep) ext2_filsys fs = NULL;
	errcode_t err = make_layout(blocks, inodes, &fs);
	int r;

	*geometry = (struct geometry){ 0 };
	if (err == EXT2_ET_TOO_MANY_INODES || err == EXT2_ET_TOOSMALL ||
	    err == EXT2_ET_BLOCK_ALLOC_FAIL || err == EXT2_ET_INVALID_ARGUMENT)
		return -ENOSPC;
	if (err == EXT2_ET_NO_MEMORY)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	if (err)
		return diag_set(
			diag, -EINVAL, NULL,
			"libext2fs cannot lay out %u blocks and %u inodes: %s",
			blocks, inodes, error_message(err));
	r = take_layout(fs, geometry);
	if (r < 0) {
		geometry_release(geometry);
		return diag_set(
			diag, r, NULL,
			"libext2fs laid the block groups out in a way that is not understood");
	}
	return 0;
}

void geometry_release(struct geometry *geometry)
{
	free(geometry->groups);
	*geometry = (struct geometry){ 0 };
}

static bool is_power_of(uint32_t n, uint32_t base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

bool geometry_has_super(uint32_t group)
{
	/* sparse_super: groups 0 and 1 and the powers of 3, 5 and 7. */
	return group <= 1 || is_power_of(group, 3) || is_power_of(group, 5) ||
	       is_power_of(group, 7);
}

uint32_t geometry_block(const struct geometry *geometry, uint32_t ordinal)
{
	size_t after = search_first(geometry->n_groups, i,
				    geometry->groups[i].first_ordinal <=
					    ordinal);
	const struct group *group = &geometry->groups[after - 1];

	return group->data + ordinal - group->first_ordinal;
}
