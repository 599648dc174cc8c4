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

/* Titles and ids of sorted kernels, no two equal; boot/labels.c. */
int labels_make(struct kernels *kernels);

#endif
