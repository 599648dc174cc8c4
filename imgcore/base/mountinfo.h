/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MOUNTINFO_H
#define BASE_MOUNTINFO_H

/*
 * The mounts of this process's namespace, as /proc/self/mountinfo lists them.
 * Source: proc(5).
 */

#include <stdbool.h>
#include <stdint.h>

/* A list that is read line by line, and the mount on its current line. */
struct mountinfo {
	char *text; /* the whole list */
	char *rest; /* the lines after the current one */

	uint64_t id; /* stx_mnt_id of statx(2) */
	uint32_t major; /* of the file system */
	uint32_t minor;
	const char *point; /* where it is mounted; another mount may hide it */
	const char *type;
};

/*
 * Reads the list. fd: /proc/self/mountinfo, whose offset is not used, or -1: it
 * is opened. 0 or a negative errno.
 */
int mountinfo_read(struct mountinfo *ret_list, int fd);
/* Moves to the first or next line; false after the last one. */
bool mountinfo_next(struct mountinfo *list);
/*
 * Reads the list and moves to the mount with an id. The kernel reuses the id as
 * soon as the mount is gone, so the answer is only a hint unless a descriptor
 * of the mount is open. 0 or a negative errno: -ENOENT if there is none.
 */
int mountinfo_find(struct mountinfo *ret_list, int fd, uint64_t id);
void mountinfo_clear(struct mountinfo *list);

#endif
