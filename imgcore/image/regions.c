/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/regions.h"

#include <assert.h>

#include "base/vec.h"
#include "image/partition.h"
#include "image/table.h"

/* Adds what lasts until `end`, if that is anything. */
static int add(struct regions *regions, uint64_t end, struct span span)
{
	uint64_t start = 0;
	struct span *last;

	if (regions->count > 0)
		start = regions->items[regions->count - 1].end;
	assert(start <= end);
	if (start == end)
		return 0;
	last = vec_push(regions);
	if (!last)
		return -ENOMEM;
	*last = span;
	last->start = start;
	last->end = end;
	return 0;
}

int regions_init(struct regions *regions, const struct table *table,
		 const struct partition *partitions, size_t n,
		 uint64_t disk_size)
{
	const struct span none = { .what = "unpartitioned" };
	int r;

	*regions = (struct regions){ 0 };
	r = add(regions, table->head_len,
		(struct span){
			.what = "boot sector, partition table and core image",
			.bytes = table->head });
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct partition *p = &partitions[i];
		const struct volume *v = p->volume;
		struct span span = { .partition = p,
				     .number = (unsigned)i + 1,
				     .volume = v };

		assert(v->block_size <= VOLUME_BLOCK_MAX &&
		       v->blocks <= p->size / v->block_size);
		r = add(regions, p->start, none);
		if (r == 0)
			r = add(regions, p->start + v->blocks * v->block_size,
				span);
		span.volume = NULL;
		span.what = "behind the file system";
		if (r == 0)
			r = add(regions, p->start + p->size, span);
	}
	if (r == 0)
		r = add(regions, disk_size - table->tail_len, none);
	if (r == 0)
		r = add(regions, disk_size,
			(struct span){ .what = "backup of the partition table",
				       .bytes = table->tail });
	if (r < 0)
		regions_release(regions);
	else
		assert(regions->items[regions->count - 1].end == disk_size);
	return r;
}

void regions_release(struct regions *regions)
{
	vec_free(regions);
}

const struct span *regions_at(const struct regions *regions, uint64_t offset,
			      struct region *ret_region)
{
	const struct span *span = regions->items;
	const struct volume *volume;

	while (span->end <= offset) {
		span++;
		assert(span < regions->items + regions->count);
	}
	volume = span->volume;
	if (volume) {
		volume->ops->locate(volume,
				    (offset - span->start) / volume->block_size,
				    ret_region);
		ret_region->start += span->start;
		ret_region->end += span->start;
		ret_region->part = span->partition->part;
	} else {
		*ret_region = (struct region){
			.start = span->start,
			.end = span->end,
			.kind = span->bytes ? REGION_BYTES : REGION_ZERO,
			.what = span->what,
			.node = TREE_NONE,
		};
	}
	ret_region->partition = span->number;
	return span;
}
