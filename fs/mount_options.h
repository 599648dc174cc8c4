/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNT_OPTIONS_H
#define FS_MOUNT_OPTIONS_H

/* Words of the list of -o that are mount(8)'s, FUSE's or fstab's. */

#include <stdbool.h>

struct diag;

struct mount_options {
	char *list; /* for FUSE: as -o takes it, escaped; or NULL; owned */
	bool fsname; /* the list sets it */
	bool remount; /* only set the flags of a mounted disk */
	unsigned long flags; /* of mount(2): FUSE's, changed by the list */
};

/*
 * Adds an entry, without escapes, to the options (struct mount_options): 0,
 * -ENOENT if the word is unknown, -EINVAL with a diagnostic or -ENOMEM.
 */
int mount_options_add(void *options, const char *entry, struct diag *diag);

#endif
