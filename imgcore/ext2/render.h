/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_RENDER_H
#define EXT2_RENDER_H

/* What a plan says of a block, as its bytes: each function fills one block. */

#include <stdint.h>

#include "imgcore/tree.h"

struct ext2_plan;

void render_super(const struct ext2_plan *plan, uint32_t group, uint8_t *buf);
void render_descriptors(const struct ext2_plan *plan, uint32_t index,
			uint8_t *buf);
void render_block_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf);
void render_inode_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf);
/* index: of the block among those of all groups' tables. */
void render_inode_table(const struct ext2_plan *plan, uint32_t index,
			uint8_t *buf);
void render_directory(const struct ext2_plan *plan, tree_id node,
		      uint32_t index, uint8_t *buf);
void render_symlink(const struct ext2_plan *plan, tree_id node, uint8_t *buf);
void render_indirect(const struct ext2_plan *plan, tree_id node,
		     uint32_t number, uint8_t *buf);

void render_xattr(const struct ext2_plan *plan, uint32_t index, uint8_t *buf);

#endif
