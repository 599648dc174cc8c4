/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_ORDER_H
#define BOOT_ORDER_H

/*
 * The order of the menu:
 *
 *     1. kernels/bzImage and such: unversioned, directly in kernels/
 *     2. entries with a sort-key, as the Boot Loader Specification says
 *     3. kernels found by their names, newest version first
 *     4. entries of other kernels, as the specification says
 *     5. entries whose counted boots are used up
 *
 * or the newest file first. Of the same version or time, the higher partition
 * first, then by path.
 */

#include "boot/finder.h"

void order_sort(struct kernels *kernels, enum boot_order order);

#endif
