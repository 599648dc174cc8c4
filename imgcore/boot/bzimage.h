/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_BZIMAGE_H
#define BOOT_BZIMAGE_H

/*
 * Whether a file is a Linux kernel that GRUB can start on a PC, and whole.
 * Source: the kernel's Documentation/arch/x86/boot.rst.
 */

#include <stdint.h>

#include "imgcore/tree.h"

struct diag;

struct bzimage {
	char *version; /* first word of the text inside; NULL: there is none */
	uint32_t
		cmdline_size; /* bytes of a command line, its NUL not counted */
};

/*
 * 0, with *ret_reason NULL where it is one, or why it is none; the caller frees
 * both. -ESTALE and -ENOMEM with a diagnostic.
 */
int bzimage_read(const struct tree *tree, tree_id file,
		 struct bzimage *ret_image, char **ret_reason,
		 struct diag *diag);

#endif
