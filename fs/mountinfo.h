/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNTINFO_H
#define FS_MOUNTINFO_H

/* Mounts of this process's namespace, as /proc/self/mountinfo lists them. */

#include <stdint.h>

struct mountinfo {
	uint32_t major; /* of the file system */
	uint32_t minor;
	char *point; /* where it is mounted; another mount may hide it */
	char *type;
};

/*
 * Finds the mount with an id. The kernel reuses the id as soon as the mount is
 * gone, so the answer is only a hint unless a descriptor of the mount is open.
 * 0 or a negative errno: -ENOENT if there is none.
 */
int mountinfo_find(uint64_t id, struct mountinfo *ret_mount);
void mountinfo_clear(struct mountinfo *mount);

#endif
