/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_KERNELS_H
#define BOOT_KERNELS_H

/*
 * Finds the kernels of a tree by the rules of grub-mkconfig: `vmlinuz-*` and
 * `kernel-*`, with an initrd of the same version beside them; and `vmlinuz` and
 * `bzImage`, which grub-mkconfig ignores.
 */

#include "boot/finder.h"

/*
 * Adds what is in boot/ of the first tree, and in kernels/ and kernels/NAME/ of
 * the second. A kernel is regular, or a symbolic link to such a file in the
 * same tree, which is the partition, so GRUB can follow it.
 * 0, -ENOMEM, or -ESTALE with a diagnostic.
 */
int kernels_find(struct finder *finder);
/* Rejects files beside kernels that no kernel uses; called last. */
int kernels_find_unused(struct finder *finder);

#endif
