/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ext2/plan.h"
#include "ext2/render.h"

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

void render_block_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf)
{
	const struct group *g = &plan->geometry.groups[group];
	uint32_t overhead = g->data - g->start;

	render_bitmap(overhead + plan_group_used(plan, group),
		      group_end(&plan->geometry, group) - g->start, buf);
}

void render_inode_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf)
{
	render_bitmap(plan_group_inodes(plan, group),
		      plan->geometry.inodes_per_group, buf);
}
