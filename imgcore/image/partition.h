/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_PARTITION_H
#define IMAGE_PARTITION_H

/* A partition: a part of the disk, and the volume that it holds. */

#include <stdbool.h>
#include <stdint.h>

#include "imgcore/image.h"
#include "imgcore/volume.h"

enum partition_type {
	PARTITION_LINUX,
};

struct partition {
	uint64_t start; /* bytes, whole sectors */
	uint64_t size;
	enum partition_type type;
	bool active; /* the one that a BIOS may boot */
	const char *name;
	enum image_part
		part; /* the tree whose nodes the volume's regions name */
	struct volume *volume; /* at most as large as the partition */
};

#endif
