/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_PATHS_H
#define IMGCORE_PATHS_H

/* Paths with a meaning, the same in the source directory and on the disk. */

#define PATH_BOOT    "boot" /* on the first partition */
#define PATH_GRUB    PATH_BOOT "/grub"
#define PATH_MENU    PATH_GRUB "/grub.cfg"
#define PATH_CUSTOM  PATH_GRUB "/custom.cfg"
#define PATH_FONTS   PATH_GRUB "/fonts"
#define PATH_KERNELS "kernels" /* on the second */

#endif
