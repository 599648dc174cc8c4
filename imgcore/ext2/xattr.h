/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_XATTR_H
#define EXT2_XATTR_H

/* Blocks of extended attributes: which inode has which. */

struct diag;
struct ext2_demand;

/*
 * Gives every inode that has some a block of them, shared by those of equal
 * sets. -E2BIG names the path of the first whose set no block holds.
 */
int xattr_place(struct ext2_demand *demand, struct diag *diag);

#endif
