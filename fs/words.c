/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "words.h"

#include <stdbool.h>
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

static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+=:@%,";

	return *word && !word[strspn(word, plain)];
}

void words_print(const char *word, FILE *out)
{
	if (is_plain(word)) {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			putc(*word, out);
	}
	putc('\'', out);
}
