/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mountinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void mountinfo_clear(struct mountinfo *mount)
{
	free(mount->point);
	free(mount->type);
	*mount = (struct mountinfo){ 0 };
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* Parses a line; false if it is not that of the mount `id`. */
static bool parse_line(const char *line, uint64_t id,
		       struct mountinfo *ret_mount)
{
	const char *type = strstr(line, " - ");
	struct mountinfo mount = { 0 };
	uint64_t number;

	if (type &&
	    sscanf(line, "%" SCNu64 " %*s %" SCNu32 ":%" SCNu32 " %*s %ms",
		   &number, &mount.major, &mount.minor, &mount.point) == 4 &&
	    number == id && sscanf(type, " - %ms", &mount.type) == 1) {
		unescape(mount.point);
		*ret_mount = mount;
		return true;
	}
	mountinfo_clear(&mount);
	return false;
}

int mountinfo_find(uint64_t id, struct mountinfo *ret_mount)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		if (parse_line(line, id, ret_mount))
			return 0;
	}
	return -ENOENT;
}
