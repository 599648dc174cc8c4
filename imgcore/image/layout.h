/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

/*
 * Where the partitions are. The disk that parted makes of 200 MiB with
 * `mkpart 1 20, mkpart 21 200`, in sectors:
 *
 *     0        2048            38912   40960             391168   409600
 *     | MBR, GRUB | partition 1 | 1 MiB | partition 2 ...... | 9 MiB |
 *
 * A partition that needs more grows in steps of 1 MiB, and the disk with it. In
 * a disk whose size was asked for, the last partition takes the rest; the
 * others shrink to what they need before the size is refused.
 *
 * Units: bytes. Errors: 0 or a negative errno with a diagnostic.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"

struct diag;

#define LAYOUT_BOOT_SIZE   (UINT64_C(36864) * SECTOR)
#define LAYOUT_SYSTEM_SIZE (UINT64_C(350208) * SECTOR)

/* One partition: what is asked of it, and where it is. */
struct layout_entry {
	uint64_t need; /* at least, for its volume */
	uint64_t usual; /* its size where that is enough */
	uint64_t asked; /* its size that the user asked for; 0: none */
	const char *option; /* by which */
	const char *holds; /* for messages: "/boot" */

	uint64_t start;
	uint64_t size;
};

/*
 * Sets start and size of n entries, and the size of the disk: asked, or, if
 * that is 0, as large as it must be. cause: the path or option that a disk is
 * too large by.
 */
int layout_choose(struct layout_entry *entries, size_t n, uint64_t asked,
		  const char *cause, uint64_t *ret_size, struct diag *diag);

#endif
