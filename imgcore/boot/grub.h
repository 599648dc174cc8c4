/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_H
#define BOOT_GRUB_H

/*
 * What was found of GRUB: the two images that go in front of the first
 * partition, and the files that go into it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "boot/grub_files.h"
#include "imgcore/boot.h"

struct boot_grub {
	const struct boot_target *target;
	int dir_fd; /* while GRUB is read; afterwards -1 */
	int font_fd; /* the directory of its font, likewise; -1: none */
	char *dir;
	char *core_name; /* for messages */
	uint8_t boot[SECTOR];
	uint8_t *core; /* zero padded to core_size, whole sectors */
	size_t core_size;
	/* core is the user's, or contains all modules of the menu. */
	bool self_contained;
	struct grub_files *files;
};

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)
#define _cleanup_grub_ _cleanup_(boot_grub_freep)

#endif
