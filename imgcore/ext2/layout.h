/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_LAYOUT_H
#define EXT2_LAYOUT_H

/*
 * The layout of a file system. Two halves:
 *
 * contents  what the tree needs, whatever the partition: an inode number for
 *           each inode and a place in ordinal space for each of its blocks
 * geometry  what the partition offers: block groups and their overhead
 *
 * Ordinals number the blocks that are free for data, group by group, with the
 * groups' overhead left out. Data takes ordinals 0 ... used - 1 in the order
 * of inodes, and blocks of extended attributes behind it, so bitmaps, pointers
 * and counts follow by arithmetic.
 *
 *     group    | overhead ............................ | ordinals .......... |
 *              | super, descriptors (some groups) | block bitmap | inode
 *                bitmap | inode table |
 *
 * Inodes are indexed: 0 is the root (inode 2), 1 lost+found (inode 11),
 * all others follow in the order of their nodes (12, 13, ...), so the children
 * of a directory have consecutive numbers.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2/contents.h"
#include "ext2/geometry.h"
#include "imgcore/ext2.h"

struct ext2_layout {
	struct volume volume;
	struct ext2_contents *contents;
	struct geometry geometry;
	uint32_t free_blocks;
	uint32_t free_inodes;
	uint8_t uuid[16];
	char label[16];
};

/* The number of inodes in use: 1 ... that. */
static inline uint32_t layout_last_inode(const struct ext2_layout *layout)
{
	return inode_index_number(layout->contents->inodes - 1);
}

/* Inodes of a group in use. */
uint32_t layout_group_inodes(const struct ext2_layout *layout, uint32_t group);
/* Ordinals of a group in use. */
uint32_t layout_group_used(const struct ext2_layout *layout, uint32_t group);

static_assert(offsetof(struct ext2_layout, volume) == 0, "the first member");

static inline const struct ext2_layout *ext2_layout_of(
	const struct volume *volume)
{
	return (const struct ext2_layout *)volume;
}

/* Takes contents over on success. The volume is left to be set. */
int layout_new(struct ext2_layout **ret_layout, struct ext2_contents *contents,
	       const struct ext2_options *options, struct diag *diag);
void layout_free(struct ext2_layout *layout);

#endif
