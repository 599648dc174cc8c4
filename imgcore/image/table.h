/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_TABLE_H
#define IMAGE_TABLE_H

/*
 * The partition table with what else stands at the ends of the disk: an MBR,
 * made by libparted, around GRUB's boot sector and in front of its core image.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Threading: no shared state (libparted, which has globals, runs in a child).
 */

#include <stddef.h>
#include <stdint.h>

struct boot_grub;
struct diag;
struct partition;

#define TABLE_MAX_SECTORS UINT32_MAX

/* Bytes at the head and at the tail of the disk, in whole blocks. */
struct table {
	uint8_t *head;
	size_t head_len;
	uint8_t *tail;
	size_t tail_len; /* an MBR has none: 0 */
};

/*
 * The table of n partitions (only their places and types are looked at) on a
 * disk of that many bytes. grub may be NULL: no boot loader. previous: the
 * table of another disk of the same size with the same partitions, whose
 * entries are taken over, or NULL.
 */
int table_init(struct table *table, const struct partition *partitions,
	       size_t n, uint64_t disk_size, uint32_t signature,
	       const struct boot_grub *grub, const struct table *previous,
	       struct diag *diag);
void table_release(struct table *table);

#endif
