/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_INITRDS_H
#define BOOT_INITRDS_H

#include "boot/finder.h"

/* Limit of initrds beside a kernel that has a directory of its own. */
#define INITRDS_MAX 100u
/* Adds the initrds of a kernel of this directory to its entry. */
int initrds_find(struct finder *finder, const struct kernel_dir *dir,
		 struct kernel *kernel);

#endif
