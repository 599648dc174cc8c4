/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/mbr.h"

#include <string.h>

#include "base/le.h"
#include "boot/grub.h"

/*
 * boot.img has a probe for floppies where the table goes: it is copied up to
 * the signature.
 */
void boot_embed(const struct boot_grub *grub, uint8_t *head)
{
	struct boot_sector *sector = (struct boot_sector *)head;
	struct core_sector *core = (struct core_sector *)(head + SECTOR);

	memcpy(sector, grub->boot, offsetof(struct boot_sector, signature));
	put_le64(sector->core_sector, 1);
	sector->drive = 0xff;
	memset(sector->drive_check, 0x90, sizeof(sector->drive_check));
	memcpy(core, grub->core, grub->core_size);
	put_le64(core->start, 2);
	put_le16(core->sectors, (uint16_t)(grub->core_size / SECTOR - 1));
	put_le16(core->segment, CORE_SEGMENT);
}
