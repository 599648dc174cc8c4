/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_PLAN_H
#define EXT2_PLAN_H

/*
 * The inside of a plan. Two halves:
 *
 * demand    what the tree needs, whatever the partition: an inode number for
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
 * Inodes form a sequence: 0 is the root (inode 2), 1 lost+found (inode 11),
 * all others follow in the order of their nodes (12, 13, ...), so the children
 * of a directory have consecutive numbers.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2/demand.h"
#include "ext2/geometry.h"
#include "imgcore/ext2.h"

struct ext2_plan {
	struct volume volume;
	struct ext2_demand *demand;
	struct geometry geometry;
	uint32_t free_blocks;
	uint32_t free_inodes;
	uint8_t uuid[16];
	char label[16];
};

/* The number of inodes in use: 1 ... that. */
static inline uint32_t plan_last_inode(const struct ext2_plan *plan)
{
	return sequence_inode(plan->demand->inodes - 1);
}

/* Inodes of a group in use. */
uint32_t plan_group_inodes(const struct ext2_plan *plan, uint32_t group);
/* Ordinals of a group in use. */
uint32_t plan_group_used(const struct ext2_plan *plan, uint32_t group);

static_assert(offsetof(struct ext2_plan, volume) == 0, "the first member");

static inline const struct ext2_plan *ext2_plan_of(const struct volume *volume)
{
	return (const struct ext2_plan *)volume;
}

/* Takes demand over on success. The volume is left to be set. */
int plan_new(struct ext2_plan **ret_plan, struct ext2_demand *demand,
	     const struct ext2_options *options, struct diag *diag);
void plan_free(struct ext2_plan *plan);

#endif
