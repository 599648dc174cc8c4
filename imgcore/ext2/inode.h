/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_INODE_H
#define EXT2_INODE_H

/* Inodes, and the blocks that they point to. Each function fills one block. */

#include <stdint.h>

#include "imgcore/tree.h"

struct ext2_layout;

/* index: of the block among those of all groups' tables. */
void inode_render_table(const struct ext2_layout *layout, uint32_t index,
			uint8_t *buf);
void inode_render_symlink(const struct ext2_layout *layout, tree_id node,
			  uint8_t *buf);
/* number: of the block among all of the inode's. */
void inode_render_indirect(const struct ext2_layout *layout, tree_id node,
			   uint32_t number, uint8_t *buf);

#endif
