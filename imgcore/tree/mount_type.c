/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/mount_type.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"

/* Limit of bytes that are read. */
#define LIST_MAX (64u << 20)

/* Where the type starts in the line of a mount: "ID ... - TYPE ..."; or NULL.
 */
static const char *find_type(const char *list, uint64_t id)
{
	char begin[32];
	size_t len = (size_t)snprintf(begin, sizeof(begin), "%" PRIu64 " ", id);

	for (const char *line = list; line; line = strchr(line, '\n')) {
		const char *type;

		line += *line == '\n';
		if (strncmp(line, begin, len) != 0)
			continue;
		type = strstr(line, " - ");
		return type && !memchr(line, '\n', (size_t)(type - line))
			       ? type + strlen(" - ")
			       : NULL;
	}
	return NULL;
}

bool mount_holds_files(int fd, uint64_t id)
{
	static const char *const closed[] = {
		"autofs",     "binfmt_misc",  "bpf",	   "cgroup",
		"cgroup2",    "configfs",     "debugfs",   "devpts",
		"efivarfs",   "fuse.dirdisk", "fusectl",   "hugetlbfs",
		"mqueue",     "nsfs",	      "proc",	   "pstore",
		"rpc_pipefs", "securityfs",   "selinuxfs", "sysfs",
		"tracefs",
	};
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ char *list = NULL;
	const char *type;
	size_t type_len;
	size_t len;

	if (io_read_file(fd, LIST_MAX, &bytes, &len) < 0)
		return false;
	list = strndup((const char *)bytes, len);
	type = list ? find_type(list, id) : NULL;
	if (!type)
		return false;
	type_len = strcspn(type, " \n");
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		if (strlen(closed[i]) == type_len &&
		    memcmp(closed[i], type, type_len) == 0)
			return false;
	return true;
}
