/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_BOOT_SET_H
#define RUN_BOOT_SET_H

/*
 * What a disk boots, as its info/boot says: kernels, initial RAM disks and the
 * menu.
 *
 * Errors: negative errno.
 */

#include <stdbool.h>

#include "base/cleanup.h"

struct boot_set;

/*
 * Reads info/boot below the mount directory. That brings the disk up to date,
 * and the text is of one moment.
 */
int boot_set_read(struct boot_set **ret_set, const char *mount_dir);
void boot_set_free(struct boot_set *set);

DEFINE_CLEANUP(struct boot_set, boot_set_free)
#define _cleanup_boot_set_ _cleanup_(boot_set_freep)

/* Says in a few words what is different; the caller frees. NULL: nothing. */
int boot_set_difference(const struct boot_set *old, const struct boot_set *now,
			char **ret_text);

/*
 * Whether there is a kernel to boot, and no kernel that the menu had before is
 * incomplete now, as while it is copied.
 */
bool boot_set_ready(const struct boot_set *old, const struct boot_set *now);

#endif
