/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_KERNELS_H
#define BOOT_KERNELS_H

/*
 * The kernels of a directory of a tree, by the rules that users of
 * grub-mkconfig know: `vmlinuz-*` and `kernel-*`, with an initrd of the same
 * version beside them; and `vmlinuz` and `bzImage` alone, which it never takes.
 */

#include "boot/finder.h"

/*
 * Adds what is in boot/ of the first tree, and in kernels/ and kernels/NAME/ of
 * the second. A kernel is regular, or a symbolic link to such a file in the
 * same tree, which is the partition, so GRUB can follow it.
 * 0, -ENOMEM, or -ESTALE with a diagnostic.
 */
int kernels_find(struct finder *finder);
/* Files beside kernels that nothing uses; when all is found. */
int kernels_find_unused(struct finder *finder);

#endif
