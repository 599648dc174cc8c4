/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_MENU_H
#define IMAGE_MENU_H

/*
 * grub.cfg as we graft it into partition 1, in two steps: its length has a part
 * in the disk's signature, and the signature in its bytes. Where the menu is a
 * user's own, neither does anything.
 */

#include "imgcore/boot.h"

int menu_write(struct tree *boot_tree, struct boot_kernels *kernels,
	       const struct boot_options *options, struct diag *diag);
/* kernels: those that the menu was made of; NULL: the menu stays as it is. */
int menu_sign(struct tree *boot_tree, const struct boot_kernels *kernels,
	      uint32_t signature, struct diag *diag);

#endif
