/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_BITMAP_H
#define EXT2_BITMAP_H

/* The bitmaps of a group. Each function fills one block. */

#include <stdint.h>

struct ext2_layout;

void bitmap_render_blocks(const struct ext2_layout *layout, uint32_t group,
			  uint8_t *buf);
void bitmap_render_inodes(const struct ext2_layout *layout, uint32_t group,
			  uint8_t *buf);

#endif
