/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_DIR_H
#define EXT2_DIR_H

/* Blocks of directories. */

#include <stdint.h>

#include "imgcore/tree.h"

struct ext2_layout;

void dir_render(const struct ext2_layout *layout, tree_id node, uint32_t index,
		uint8_t *buf);

#endif
