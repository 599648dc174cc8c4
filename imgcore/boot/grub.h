/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_H
#define BOOT_GRUB_H

/*
 * What was found of GRUB: its directory, and the two images that go in front
 * of the first partition.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "imgcore/boot.h"

#define SECTOR 512u
/* The usual gap: sectors 1 to 2047. */
#define CORE_MAX (2047u * SECTOR)
/* GRUB's first sector, and at least one of what that one loads. */
#define CORE_MIN (2u * SECTOR)

struct boot_grub {
	int dir_fd;
	int font_fd; /* the directory of its font; -1: none */
	char *dir;
	char *core_name; /* for messages */
	uint8_t boot[SECTOR];
	uint8_t *core; /* zero padded to core_size, whole sectors */
	size_t core_size;
};

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)
#define _cleanup_grub_ _cleanup_(boot_grub_freep)

/*
 * core.img from grub-mkimage, with all of GRUB's modules that a menu needs, or
 * with those alone that find the others on the disk. dir_fd and dir are the
 * directory they are in. The caller frees bytes.
 */
int core_make(const char *dir, int dir_fd, bool all, uint8_t **ret_bytes,
	      size_t *ret_len, struct diag *diag);

#endif
