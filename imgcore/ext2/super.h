/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_SUPER_H
#define EXT2_SUPER_H

/* Superblocks and group descriptors. Each function fills one block. */

#include <stdint.h>

struct ext2_layout;

void super_render(const struct ext2_layout *layout, uint32_t group,
		  uint8_t *buf);
/* index: of the block among those of the group descriptors. */
void super_render_descriptors(const struct ext2_layout *layout, uint32_t index,
			      uint8_t *buf);

#endif
