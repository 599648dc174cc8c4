/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_BOOT_H
#define IMGCORE_BOOT_H

/*
 * What makes the disk boot: the partition table, GRUB's boot sector and core
 * image, GRUB's files as grafts under /boot/grub, the kernels and their menu.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Threading: one thread at a time may call boot_mbr (libparted has globals:
 * the function takes a lock itself); the rest is free of shared state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct diag;

enum boot_console {
	BOOT_CONSOLE_BOTH, /* serial and VGA */
	BOOT_CONSOLE_SERIAL,
	BOOT_CONSOLE_VGA,
};

struct boot_options {
	bool no_grub; /* a disk without a boot loader */
	const char *grub_dir; /* NULL: where GRUB is installed */
	const char *core_image; /* NULL: made with grub-mkimage */
	/* A made one has all modules in it: the disk's are not this GRUB's. */
	bool whole_core;
	const char *append; /* more kernel command line, or NULL */
	const char *default_entry; /* a kernel's name or version, or NULL */
	int timeout; /* of the menu, seconds; -1: wait for ever */
	enum boot_console console;
};

/* A host file or directory that GRUB was found in, and its core image. */
struct boot_grub;

/*
 * Finds GRUB: boot.img and the modules in grub_dir, core.img made by running
 * grub-mkimage (its output goes to memory) or read from core_image. -ENOENT
 * names the package where GRUB is not installed.
 */
int boot_grub_new(struct boot_grub **ret_grub,
		  const struct boot_options *options, struct diag *diag);
void boot_grub_free(struct boot_grub *grub);
/* Bytes of core.img, whole sectors. */
size_t boot_grub_core_size(const struct boot_grub *grub);

/*
 * Grafts GRUB's modules, font and an empty grub.cfg under boot/grub of grafts.
 * attr gives owner and time. grub.cfg is to be filled with tree_set_content.
 */
int boot_grub_graft(const struct boot_grub *grub, struct tree_builder *grafts,
		    const struct tree_attr *attr, struct diag *diag);

/*
 * Sector 0 and core.img, for a disk with these two partitions: `len` bytes that
 * start at the disk's first. grub may be NULL: a table and no loader.
 * Sectors are of 512 bytes; last_sector is inclusive. The caller frees bytes.
 */
struct boot_partition {
	uint64_t first_sector;
	uint64_t last_sector;
};
int boot_mbr(const struct boot_grub *grub,
	     const struct boot_partition partitions[2], uint64_t disk_sectors,
	     uint32_t signature, uint8_t **ret_bytes, size_t *ret_len,
	     struct diag *diag);

/*
 * The menu for the kernels of boot/ in partition 1 and kernels/ in partition 2,
 * newest first. No kernel at all: a configuration that ends at GRUB's prompt.
 * -EINVAL names --default if it is none of them. The caller frees text.
 */
int boot_menu(const struct tree *boot_tree, const struct tree *system_tree,
	      const struct boot_options *options, char **ret_text,
	      size_t *ret_len, struct diag *diag);

/*
 * A table of those kernels, for people, in the order of the menu, and of the
 * files beside them that are none, and why. The caller frees text. 0 or
 * -ENOMEM.
 */
int boot_kernels(const struct tree *boot_tree, const struct tree *system_tree,
		 char **ret_text);

#endif
