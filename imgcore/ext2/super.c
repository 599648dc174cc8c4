/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/super.h"

#include <assert.h>
#include <endian.h>
#include <ext2fs/ext2_fs.h>
#include <string.h>

#include "base/math.h"
#include "ext2/layout.h"

static_assert(sizeof(struct ext2_super_block) == 1024, "a superblock");
static_assert(sizeof(struct ext2_group_desc) == 32, "a group descriptor");

#define DESCS_PER_BLOCK (EXT2_BLOCK / sizeof(struct ext2_group_desc))
#define EXTRA_ISIZE	32
#define SUPER_OFFSET	1024 /* in the first block */

/*
 * No time of making or checking is claimed: a clock has no part in the disk,
 * and a time out of the tree could lie in a reader's future.
 */
static void fill_super(const struct ext2_layout *layout, uint32_t group,
		       struct ext2_super_block *sb)
{
	const struct geometry *geo = &layout->geometry;
	uint32_t ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
			     EXT2_FEATURE_RO_COMPAT_LARGE_FILE;

	if (layout->contents->huge_file)
		ro_compat |= EXT4_FEATURE_RO_COMPAT_HUGE_FILE;
	if (layout->contents->dir_nlink)
		ro_compat |= EXT4_FEATURE_RO_COMPAT_DIR_NLINK;
	sb->s_inodes_count = htole32(geo->inodes_per_group * geo->n_groups);
	sb->s_blocks_count = htole32(geo->blocks);
	sb->s_free_blocks_count = htole32(layout->free_blocks);
	sb->s_free_inodes_count = htole32(layout->free_inodes);
	sb->s_log_block_size = htole32(2);
	sb->s_log_cluster_size = htole32(2);
	sb->s_blocks_per_group = htole32(geo->blocks_per_group);
	sb->s_clusters_per_group = htole32(geo->blocks_per_group);
	sb->s_inodes_per_group = htole32(geo->inodes_per_group);
	sb->s_max_mnt_count = htole16(0xffff);
	sb->s_magic = htole16(EXT2_SUPER_MAGIC);
	sb->s_state = htole16(EXT2_VALID_FS);
	sb->s_errors = htole16(EXT2_ERRORS_CONTINUE);
	sb->s_rev_level = htole32(EXT2_DYNAMIC_REV);
	sb->s_first_ino = htole32(EXT2_GOOD_OLD_FIRST_INO);
	sb->s_inode_size = htole16(INODE_SIZE);
	sb->s_block_group_nr = htole16((uint16_t)group);
	sb->s_feature_compat = htole32(EXT2_FEATURE_COMPAT_EXT_ATTR |
				       EXT2_FEATURE_COMPAT_DIR_INDEX);
	sb->s_feature_incompat = htole32(EXT2_FEATURE_INCOMPAT_FILETYPE);
	sb->s_feature_ro_compat = htole32(ro_compat);
	memcpy(sb->s_uuid, layout->uuid, sizeof(sb->s_uuid));
	memcpy(sb->s_volume_name, layout->label, sizeof(sb->s_volume_name));
	memcpy(sb->s_hash_seed, layout->contents->seed,
	       sizeof(sb->s_hash_seed));
	sb->s_def_hash_version = EXT2_HASH_HALF_MD4;
	sb->s_flags = htole32(EXT2_FLAGS_UNSIGNED_HASH);
	sb->s_default_mount_opts = htole32(EXT2_DEFM_XATTR_USER |
					   EXT2_DEFM_ACL);
	sb->s_min_extra_isize = htole16(EXTRA_ISIZE);
	sb->s_want_extra_isize = htole16(EXTRA_ISIZE);
}

void super_render(const struct ext2_layout *layout, uint32_t group,
		  uint8_t *buf)
{
	struct ext2_super_block sb = { 0 };

	fill_super(layout, group, &sb);
	memset(buf, 0, EXT2_BLOCK);
	/* The first block of the partition is left to a boot sector. */
	memcpy(buf + (group == 0 ? SUPER_OFFSET : 0), &sb, sizeof(sb));
}

static void fill_descriptor(const struct ext2_layout *layout, uint32_t g,
			    struct ext2_group_desc *desc)
{
	const struct geometry *geo = &layout->geometry;
	const struct group *group = &geo->groups[g];
	uint32_t blocks = group_end(geo, g) - group->data;
	uint32_t free_blocks = blocks - layout_group_used(layout, g);
	uint32_t free_inodes = geo->inodes_per_group -
			       layout_group_inodes(layout, g);

	desc->bg_block_bitmap = htole32(group->block_bitmap);
	desc->bg_inode_bitmap = htole32(group->inode_bitmap);
	desc->bg_inode_table = htole32(group->inode_table);
	desc->bg_free_blocks_count = htole16((uint16_t)free_blocks);
	desc->bg_free_inodes_count = htole16((uint16_t)free_inodes);
	desc->bg_used_dirs_count = htole16((uint16_t)group->used_dirs);
}

void super_render_descriptors(const struct ext2_layout *layout, uint32_t index,
			      uint8_t *buf)
{
	uint32_t first = index * (uint32_t)DESCS_PER_BLOCK;

	memset(buf, 0, EXT2_BLOCK);
	for (uint32_t i = 0;
	     i < DESCS_PER_BLOCK && first + i < layout->geometry.n_groups;
	     i++) {
		struct ext2_group_desc desc = { 0 };

		fill_descriptor(layout, first + i, &desc);
		memcpy(buf + i * sizeof(desc), &desc, sizeof(desc));
	}
}
