/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_MBR_H
#define BOOT_MBR_H

/*
 * The first sectors: GRUB's boot.img around the partition table, core.img.
 * Source: GRUB's include/grub/i386/pc/boot.h, util/setup.c.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"

struct boot_sector {
	uint8_t code[0x5c]; /* 0x000 */
	uint8_t core_sector[8]; /* 0x05c: u64, first sector of core.img */
	uint8_t drive; /* 0x064: 0xff: the one that the BIOS passes */
	uint8_t more_code; /* 0x065 */
	uint8_t drive_check[2]; /* 0x066: a jump, nops on a hard disk */
	uint8_t rest[0x150]; /* 0x068 */
	uint8_t signature[4]; /* 0x1b8: u32, of the disk */
	uint8_t reserved[2]; /* 0x1bc */
	uint8_t entries[4][16]; /* 0x1be: the partition table */
	uint8_t magic[2]; /* 0x1fe: 55 AA */
};
static_assert(offsetof(struct boot_sector, core_sector) == 0x05c, "boot.h");
static_assert(offsetof(struct boot_sector, drive) == 0x064, "boot.h");
static_assert(offsetof(struct boot_sector, drive_check) == 0x066, "boot.h");
static_assert(offsetof(struct boot_sector, signature) == 0x1b8, "boot.h");
static_assert(offsetof(struct boot_sector, entries) == 0x1be, "boot.h");
static_assert(offsetof(struct boot_sector, magic) == 0x1fe, "boot.h");
static_assert(sizeof(struct boot_sector) == SECTOR, "one sector");

/* The first sector of core.img, diskboot.img: where the rest of it lies. */
struct core_sector {
	uint8_t code[0x1f4]; /* 0x000 */
	uint8_t start[8]; /* 0x1f4: u64, sector */
	uint8_t sectors[2]; /* 0x1fc: u16 */
	uint8_t segment[2]; /* 0x1fe: u16, where it is loaded */
};
static_assert(offsetof(struct core_sector, start) == 0x1f4, "boot.h");
static_assert(offsetof(struct core_sector, sectors) == 0x1fc, "boot.h");
static_assert(sizeof(struct core_sector) == SECTOR, "one sector");

/* GRUB_BOOT_MACHINE_KERNEL_SEG, after the sector that is loaded there. */
#define CORE_SEGMENT 0x0820u

struct boot_grub;

/*
 * Writes boot.img to the first sector of a disk, told where core.img is, and
 * core.img from the second sector on. The table is left to be filled in.
 */
void boot_embed(const struct boot_grub *grub, uint8_t *head);

#endif
