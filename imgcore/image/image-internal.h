/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_INTERNAL_H
#define IMAGE_INTERNAL_H

#include "image/descriptor_cache.h"
#include "image/partition.h"
#include "image/regions.h"
#include "image/table.h"
#include "imgcore/image.h"

struct image {
	uint64_t size;
	struct table table;
	struct partition *partitions;
	size_t n_partitions;
	struct regions regions; /* of the three above */
	struct image_trees trees; /* those that are there */
	struct descriptor_cache *cache;
};

#endif
