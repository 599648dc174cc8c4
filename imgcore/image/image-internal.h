/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_INTERNAL_H
#define IMAGE_INTERNAL_H

#include "base/units.h"
#include "image/hostfile.h"
#include "imgcore/ext2.h"
#include "imgcore/image.h"

/* Where the partitions lie, in bytes. */
struct layout {
	uint64_t size;
	struct {
		uint64_t start;
		uint64_t size;
	} partition[2];
};

/*
 * The article's sectors where that is enough, otherwise partitions grown in
 * steps of 1 MiB. need: bytes of each partition's file system at least.
 */
int layout_choose(const struct image_options *options, const uint64_t need[2],
		  struct layout *ret_layout, struct diag *diag);

/* Who asked for a disk that is too large: an option, or the tree. */
const char *layout_cause(const struct image_options *options);

struct partition {
	uint64_t start; /* bytes */
	uint64_t size;
	struct tree *tree;
	struct ext2_plan *plan;
};

struct image {
	uint64_t size;
	uint8_t *head; /* sector 0 and core.img */
	size_t head_len;
	struct partition partition[2];
	struct tree *archives; /* or NULL; partition 2's tree reads from it */
	struct boot_kernels *kernels; /* or NULL */
	struct hostfiles *hostfiles;
};

#endif
