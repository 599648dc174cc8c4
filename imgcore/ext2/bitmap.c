/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/bitmap.h"

#include <string.h>

#include "ext2/layout.h"

/*
 * Both bitmaps of a group are a run of ones (what is in use stands at the
 * group's beginning), zeroes, and ones again behind the group's end.
 */
static void render_bitmap(uint32_t used, uint32_t size, uint8_t *buf)
{
	memset(buf, 0, EXT2_BLOCK);
	memset(buf, 0xff, used / 8);
	if (used % 8)
		buf[used / 8] = (uint8_t)((1u << used % 8) - 1);
	if (size / 8 < EXT2_BLOCK)
		memset(buf + (size + 7) / 8, 0xff, EXT2_BLOCK - (size + 7) / 8);
	if (size % 8)
		buf[size / 8] |= (uint8_t)(0xffu << size % 8);
}

void bitmap_render_blocks(const struct ext2_layout *layout, uint32_t group,
			  uint8_t *buf)
{
	const struct group *g = &layout->geometry.groups[group];
	uint32_t overhead = g->data - g->start;

	render_bitmap(overhead + layout_group_used(layout, group),
		      group_end(&layout->geometry, group) - g->start, buf);
}

void bitmap_render_inodes(const struct ext2_layout *layout, uint32_t group,
			  uint8_t *buf)
{
	render_bitmap(layout_group_inodes(layout, group),
		      layout->geometry.inodes_per_group, buf);
}
