/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_BLOCKMAP_H
#define EXT2_BLOCKMAP_H

/*
 * Where a file's blocks lie, by arithmetic. All of a file's blocks, data and
 * indirect, are numbered 0, 1, 2 ... in this order:
 *
 *     data blocks, by position | single indirect | double indirect | triple
 *
 * Level 0 are the data blocks, level 1 the indirect blocks that point at data,
 * level 2 those that point at level 1, level 3 the one that points at level 2.
 * Node x of a level covers the file's blocks
 *
 *     first(level) + x * 1024^level ... + 1024^level - 1
 *
 * with first = 0, 12, 12 + 1024, 12 + 1024 + 1024^2: the twelve direct blocks
 * are in no indirect one. A node exists if there is data in what it covers.
 *
 * Source: the kernel's Documentation/filesystems/ext4/blockmap.rst.
 */

#include <stddef.h>
#include <stdint.h>

#define BLOCKMAP_LEVELS 4
#define BLOCKMAP_DIRECT 12u
#define BLOCKMAP_FANOUT 1024u
#define BLOCKMAP_NONE	UINT32_MAX

/* A run of data, in blocks of the file, and what stands before it. */
struct block_run {
	uint32_t start; /* [start, end) */
	uint32_t end;
	uint32_t rank[3]; /* of the first node of levels 0, 1 and 2 */
};

struct blockmap {
	const struct block_run *runs; /* sorted, at least a block apart */
	size_t n;
	uint32_t count[BLOCKMAP_LEVELS]; /* nodes of each level */
};

/* The map of runs whose start and end are set; fills their ranks. */
void blockmap_init(struct blockmap *map, struct block_run *runs, size_t n);
/* The same for runs with their ranks. */
void blockmap_load(struct blockmap *map, const struct block_run *runs,
		   size_t n);

/* All blocks of the file. */
uint64_t blockmap_total(const struct blockmap *map);

/* The number of node x of a level among the file's, BLOCKMAP_NONE: a hole. */
uint32_t blockmap_find(const struct blockmap *map, unsigned level, uint32_t x);

/* The reverse: which node has that number. */
void blockmap_node(const struct blockmap *map, uint32_t number,
		   unsigned *ret_level, uint32_t *ret_x);

/* The node of the level below that slot i of node x of a level points at. */
uint32_t blockmap_child(unsigned level, uint32_t x, uint32_t i);

/* The run that holds the data block of that number. */
const struct block_run *blockmap_run(const struct blockmap *map,
				     uint32_t number);

#endif
