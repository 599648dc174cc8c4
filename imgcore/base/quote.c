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

#include "base/memstream.h"

static bool is_plain(const char *text)
{
	return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "abcdefghijklmnopqrstuvwxyz"
					  "0123456789_-+=.,:/@%")] == '\0';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
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

static void put_hex(FILE *f, char c)
{
	fprintf(f, "\\x%02x", (unsigned char)c);
}

char *quote_shown(const char *text)
{
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	char *shown;

	if (!f)
		return NULL;
	for (; *text; text++) {
		if (is_control(*text) || (unsigned char)*text >= 0x80 ||
		    *text == '\\')
			put_hex(f, *text);
		else
			fputc(*text, f);
	}
	return memstream_close(&stream, &shown, NULL) < 0 ? NULL : shown;
}
