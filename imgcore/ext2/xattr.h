/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_XATTR_H
#define EXT2_XATTR_H

/* Blocks of extended attributes: which inode has which. */

#include <stdint.h>

struct diag;
struct ext2_contents;
struct ext2_layout;

/*
 * Gives every inode that has some a block of them, shared by those of equal
 * sets. -E2BIG names the path of the first whose set no block holds.
 */
int xattr_place(struct ext2_contents *contents, struct diag *diag);
/* Fills a block of attributes; index: among those of the file system. */
void xattr_render(const struct ext2_layout *layout, uint32_t index,
		  uint8_t *buf);

#endif
