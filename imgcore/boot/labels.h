/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_LABELS_H
#define BOOT_LABELS_H

#include "boot/finder.h"

/* Titles and ids of sorted kernels, no two equal. 0 or -ENOMEM. */
int labels_make(struct kernels *kernels);

#endif
