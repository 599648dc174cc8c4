/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_GEOMETRY_H
#define EXT2_GEOMETRY_H

/* What a partition offers: block groups and their overhead. */

#include <stdbool.h>
#include <stdint.h>

#include "imgcore/ext2.h"

#define INODE_SIZE	 256u
#define INODES_PER_BLOCK (EXT2_BLOCK / INODE_SIZE)
#define MAX_BLOCKS	 (UINT64_C(1) << 29) /* 2 TiB */

struct diag;

struct group {
	uint32_t start; /* its first block */
	uint32_t data; /* its first block behind the overhead */
	uint32_t first_ordinal;
	uint32_t block_bitmap;
	uint32_t inode_bitmap;
	uint32_t inode_table;
	uint32_t used_dirs;
};

struct geometry {
	uint32_t blocks;
	uint32_t blocks_per_group;
	uint32_t inodes_per_group;
	uint32_t table_blocks; /* of one group's inode table */
	uint32_t desc_blocks;
	uint32_t n_groups;
	uint32_t usable; /* ordinals there are */
	struct group *groups;
};

/*
 * The geometry of a file system of that many blocks and at least that many
 * inodes, as libext2fs makes it. -ENOSPC: too few blocks for so many inodes.
 */
int geometry_init(struct geometry *geometry, uint32_t blocks, uint32_t inodes,
		  struct diag *diag);
void geometry_release(struct geometry *geometry);

static inline uint32_t group_end(const struct geometry *geometry, uint32_t g)
{
	uint64_t end = (uint64_t)(g + 1) * geometry->blocks_per_group;

	return end < geometry->blocks ? (uint32_t)end : geometry->blocks;
}

/* Whether a group has a copy of superblock and descriptors. */
bool geometry_has_super(uint32_t group);
/* The block of an ordinal. */
uint32_t geometry_block(const struct geometry *geometry, uint32_t ordinal);

#endif
