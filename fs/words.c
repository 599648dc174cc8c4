/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "words.h"

#include <stdlib.h>
#include <string.h>

char *words_qemu_file(const char *path)
{
	char *value = malloc(2 * strlen(path) + sizeof("./"));
	char *to = value;

	if (!value)
		return NULL;
	/* What stands before a colon, QEMU takes for a protocol. */
	if (path[strcspn(path, ":/")] == ':')
		to = stpcpy(to, "./");
	for (; *path; path++) {
		*to++ = *path;
		if (*path == ',')
			*to++ = ',';
	}
	*to = '\0';
	return value;
}
