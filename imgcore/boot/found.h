/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_FOUND_H
#define BOOT_FOUND_H

#include "boot/kernels.h"

/* What stands in the menu, in its order, and what does not. */
struct boot_kernels {
	struct {
		struct boot_entry *items;
		size_t count;
		size_t size;
	} entries;
	struct rejects rejects;
	bool no_default; /* --default is none of them */
};

/*
 * Limits of a menu. GRUB reads all of it before it shows the first line: in an
 * emulated machine with 128 MiB of memory, a menu of 950 KB takes a minute, and
 * one of 3.6 MB more than three.
 */
#define MENU_KERNELS_MAX 1000u
#define MENU_SIZE_MAX	 (1u << 20)

/* Sets the bytes of an entry in grub.cfg: 0 or -ENOMEM; boot/menu.c. */
int menu_entry_size(const struct boot_entry *entry, size_t *ret_size);
/* Titles and ids of sorted kernels, no two equal; boot/labels.c. */
int labels_make(struct kernels *kernels);

#endif
