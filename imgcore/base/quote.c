/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between single quotes a shell and GRUB take every byte as it is, a newline
 * too, up to the next single quote, which is therefore put outside as \'. A
 * carriage return alone is lost on GRUB: it drops it from every line it reads.
 */
#include "base/quote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *text)
{
	return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "abcdefghijklmnopqrstuvwxyz"
					  "0123456789_-+=.,:/@%")] == '\0';
}

void quote_text(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
	}
	fputc('\'', f);
}

void quote_word(FILE *f, const char *text)
{
	if (is_plain(text))
		fputs(text, f);
	else
		quote_text(f, text);
}

char *quote_qemu_file(const char *path)
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
