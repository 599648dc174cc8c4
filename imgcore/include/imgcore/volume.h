/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_VOLUME_H
#define IMGCORE_VOLUME_H

/*
 * A volume is what a partition holds, as a function: block number -> bytes.
 * locate tells what a block is and how far the same goes on; render computes
 * the blocks that are neither zero nor a file's bytes. A file system is one
 * kind of volume; the disk around it does not know which.
 *
 * Units: blocks of block_size bytes, numbered from 0 in the volume; a region's
 * bounds are bytes, from the beginning of the volume, or of the disk where the
 * disk hands the region on.
 * Errors: none. A volume that exists can be read; only files' bytes can fail.
 * Threading: a volume is immutable; any number of threads may use it.
 */

#include <stdint.h>

#include "base/units.h"
#include "imgcore/tree.h"

enum region_kind {
	REGION_ZERO, /* reads as zeroes */
	REGION_BYTES, /* held in memory */
	REGION_RENDER, /* computed by the volume */
	REGION_FILE, /* a file's bytes, zeroes after its end */
};

/* A run of bytes of one kind that belong to one thing. */
struct region {
	uint64_t start; /* bytes; [start, end) */
	uint64_t end;
	enum region_kind kind;
	const char *what; /* "superblock", "inode table", "file", ... */
	tree_id node; /* whose bytes they are, or TREE_NONE */
	uint64_t node_offset; /* REGION_FILE: where in the file it starts */
	/* For the volume's render: what to compute, and its first block. */
	uint32_t structure;
	uint32_t index;
	/* Set by the disk. */
	unsigned partition; /* from 1; 0: outside of all */
	unsigned part; /* whose tree the node is of: enum image_part */
};

/* The largest block that a volume may have. */
#define VOLUME_BLOCK_MAX BLOCK

struct volume;

struct volume_ops {
	/* The region that a block (below `blocks`) lies in. */
	void (*locate)(const struct volume *volume, uint64_t block,
		       struct region *ret_region);
	/*
	 * Block number n of a region of kind REGION_RENDER that locate gave.
	 * Pure: no I/O, cannot fail.
	 */
	void (*render)(const struct volume *volume, const struct region *region,
		       uint64_t n, uint8_t *buf);
	/* Bytes that are neither free nor zero by construction. */
	uint64_t (*data_size)(const struct volume *volume);
	void (*free)(struct volume *volume);
};

/* The first member of each kind of volume. */
struct volume {
	const struct volume_ops *ops;
	uint64_t blocks;
	uint32_t block_size; /* a power of two, at most VOLUME_BLOCK_MAX */
};

/* NULL is allowed. */
static inline void volume_free(struct volume *volume)
{
	if (volume)
		volume->ops->free(volume);
}

#endif
