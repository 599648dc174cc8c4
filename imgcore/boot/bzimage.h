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

/* boot_target.check_kernel */
int bzimage_check(const uint8_t *header, size_t len, uint64_t size,
		  char **ret_reason);

/* The properties of a kernel, of any target. */
struct kernel_image {
	char *version; /* the first word of the embedded text, or NULL */
	uint32_t cmdline_size; /* of a command line, without its NUL */
};

/*
 * boot_target.read_kernel: sets *ret_reason to NULL, or to the reason why it is
 * no kernel; the caller frees both. -ESTALE and -ENOMEM with a diagnostic.
 */
int bzimage_read(const struct tree *tree, tree_id file,
		 struct kernel_image *ret_image, char **ret_reason,
		 struct diag *diag);

#endif
