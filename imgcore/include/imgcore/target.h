/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_TARGET_H
#define IMGCORE_TARGET_H

/*
 * The machines that a disk can boot, a row of constants for each.
 * Lists of strings end with NULL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct diag;
struct kernel_image;

enum boot_target_id {
	BOOT_I386_PC, /* the default */
	BOOT_TARGETS,
};

enum boot_console {
	BOOT_CONSOLE_BOTH, /* serial and VGA */
	BOOT_CONSOLE_SERIAL,
	BOOT_CONSOLE_VGA,
	BOOT_CONSOLES,
};

/* Bytes at the start of a file that show whether it is a kernel. */
#define BOOT_KERNEL_HEADER 0x23cu

struct boot_target {
	/* As the Boot Loader Specification calls it. */
	const char *const *architectures;
	const char *firmware;

	/* GRUB's platform, as it names its directories. */
	const char *platform;
	const char *package; /* with its modules */
	const char *modules_dir; /* on the disk */
	const char *partition_map; /* as GRUB names partitions: "msdos1" */
	/*
	 * The modules of core.img. The first n_finders find the others on the
	 * disk, where they are loaded as they are needed; the first n_required
	 * must be installed.
	 */
	const char *const *modules;
	size_t n_finders;
	size_t n_required;

	/* By enum boot_console: GRUB's commands, the kernel's arguments. */
	const char *terminals[BOOT_CONSOLES];
	const char *consoles[BOOT_CONSOLES];

	/*
	 * Checks whether a file of `size` bytes can be booted: header is its
	 * first BOOT_KERNEL_HEADER bytes, or all of it. *ret_reason is NULL for
	 * a whole kernel, otherwise a phrase that the caller frees. 0 or
	 * -ENOMEM.
	 */
	int (*check_kernel)(const uint8_t *header, size_t len, uint64_t size,
			    char **ret_reason);
	/* Reads the properties of a kernel (boot/bzimage.h). */
	int (*read_kernel)(const struct tree *tree, tree_id file,
			   struct kernel_image *ret_image, char **ret_reason,
			   struct diag *diag);
};

extern const struct boot_target boot_targets[BOOT_TARGETS];

#endif
