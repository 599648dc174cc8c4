/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_FOUND_H
#define BOOT_FOUND_H

#include "boot/finder.h"

/* What stands in the menu, in its order, and what does not. */
struct boot_kernels {
	struct {
		struct boot_entry *items;
		size_t count;
		size_t size;
	} entries;
	struct rejects rejects;
	bool no_default; /* --default is none of them */
	struct boot_placeholders placeholders; /* in the menu made last */
};

#endif
