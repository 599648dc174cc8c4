/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_DEVICE_LINE_H
#define ARCHIVE_DEVICE_LINE_H

/* One line of a list of devices. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

#define DEVICES_PATH_MAX 4095u

struct device {
	char *text; /* NULL: path is another one's beginning */
	const char *path; /* "dev/console", "" for the root; not terminated */
	size_t path_len;
	unsigned depth; /* names in path */
	uint64_t line; /* from 1 */
	bool implied; /* a directory that no line names but as a parent */
	char *target; /* of a symbolic link */
	struct tree_attr attr; /* times are those of the list */
};

/*
 * Takes a line, of len bytes without a NUL among them and with one behind, to
 * pieces: 1, 0 for one that says nothing, or a negative errno. Whatever it
 * returns, ret_device is set, and device_release frees what it has.
 */
int device_parse(struct device *ret_device, char *line, char **ret_reason);
void device_release(struct device *device);

#endif
