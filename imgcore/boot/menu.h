/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_MENU_H
#define BOOT_MENU_H

#include <stddef.h>

struct boot_entry;
struct boot_target;

/* Sets the bytes of an entry in grub.cfg: 0 or -ENOMEM. */
int menu_entry_size(const struct boot_entry *entry,
		    const struct boot_target *target, size_t *ret_size);

#endif
