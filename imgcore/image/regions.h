/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_REGIONS_H
#define IMAGE_REGIONS_H

/*
 * The disk from its first byte to its last, as spans: the table's head, for
 * each partition what is before it, its volume and what is after that, and the
 * table's tail. Spans are sorted, half-open, [start, end), and tile the disk:
 * the constructor asserts it.
 */

#include <stddef.h>
#include <stdint.h>

#include "imgcore/volume.h"

struct partition;
struct table;

struct span {
	uint64_t start;
	uint64_t end;
	const char *what; /* of all but a volume's */
	const uint8_t *bytes; /* those of a table; NULL: others, or zeroes */
	const struct volume *volume; /* or NULL */
	const struct partition *partition; /* or NULL */
	unsigned number; /* of the partition, from 1; otherwise 0 */
};

struct regions {
	struct span *items;
	size_t count, size;
};

/* What it is made of must outlive it. 0 or -ENOMEM. */
int regions_init(struct regions *regions, const struct table *table,
		 const struct partition *partitions, size_t n,
		 uint64_t disk_size);
void regions_release(struct regions *regions);

/* The span that an offset lies in, and the region of it. */
const struct span *regions_at(const struct regions *regions, uint64_t offset,
			      struct region *ret_region);

#endif
