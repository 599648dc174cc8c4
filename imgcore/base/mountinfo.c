/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A parser of our own. libmount 2.38 drops a mount without an error when memory
 * runs out, needs ten times the time for a list, and keeps all of it in memory.
 */
#include "base/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"

/* Limit of bytes that are read. */
#define LIST_MAX (64u << 20)

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

int mountinfo_read(struct mountinfo *ret_list, int fd)
{
	_cleanup_close_ int own = -1;
	uint8_t *bytes;
	size_t len;
	int r;

	if (fd < 0)
		fd = own = open("/proc/thread-self/mountinfo",
				O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = io_read_file(fd, LIST_MAX, &bytes, &len);
	if (r == 0)
		*ret_list = (struct mountinfo){ .text = (char *)bytes,
						.rest = (char *)bytes };
	return r;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... - TYPE ..." */
bool mountinfo_next(struct mountinfo *list)
{
	char *line;

	while ((line = strsep(&list->rest, "\n"))) {
		char *type = strstr(line, " - ");
		char *fields[5];

		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			fields[i] = strsep(&line, " ");
		/* The last "line" is empty. */
		if (!type || !fields[4] || fields[4] > type ||
		    sscanf(fields[2], "%" SCNu32 ":%" SCNu32, &list->major,
			   &list->minor) != 2)
			continue;
		type += strlen(" - ");
		type[strcspn(type, " ")] = '\0';
		unescape(fields[4]);
		list->id = strtoull(fields[0], NULL, 10);
		list->point = fields[4];
		list->type = type;
		return true;
	}
	return false;
}

int mountinfo_find(struct mountinfo *ret_list, int fd, uint64_t id)
{
	struct mountinfo list;
	int r = mountinfo_read(&list, fd);

	if (r < 0)
		return r;
	while (mountinfo_next(&list)) {
		if (list.id == id) {
			*ret_list = list;
			return 0;
		}
	}
	mountinfo_clear(&list);
	return -ENOENT;
}

void mountinfo_clear(struct mountinfo *list)
{
	free(list->text);
	*list = (struct mountinfo){ 0 };
}
