/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between single quotes GRUB takes every byte as it is, a newline too, up to
 * the next single quote, which is therefore put outside as \'. A carriage
 * return alone is lost: GRUB drops it from every line it reads.
 *
 * The commands that load a kernel quote their arguments once more: double
 * quotes around one with a space, which the kernel takes off, and a backslash
 * before quotes and backslashes, which it does not.
 */
#include "boot/quote.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"

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

void quote_word(FILE *f, const char *text)
{
	if (is_plain(text)) {
		fputs(text, f);
		return;
	}
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
	}
	fputc('\'', f);
}

static void put_hex(FILE *f, char c)
{
	fprintf(f, "\\x%02x", (unsigned char)c);
}

char *quote_shown(const char *text)
{
	char *shown = NULL;
	size_t len;
	FILE *f = open_memstream(&shown, &len);

	if (!f)
		return NULL;
	for (; *text; text++) {
		if (is_control(*text) || (unsigned char)*text >= 0x80 ||
		    *text == '\\')
			put_hex(f, *text);
		else
			fputc(*text, f);
	}
	if (fclose(f) != 0) {
		free(shown);
		return NULL;
	}
	return shown;
}

/* Where the argument at text ends: a space outside of double quotes. */
static const char *argument_end(const char *text)
{
	bool quoted = false;

	for (; *text && (quoted || *text != ' '); text++)
		if (*text == '"')
			quoted = !quoted;
	return text;
}

/*
 * Takes the quotes off an argument that has them where the kernel does: around
 * all of it, or around its value. False for quotes anywhere else.
 */
static bool argument_unquote(char *argument)
{
	size_t len = strlen(argument);
	char *first = strchr(argument, '"');
	char *equals = strchr(argument, '=');

	if (!first)
		return true;
	if (first != argument && (!equals || first != equals + 1))
		return false;
	if (strchr(first + 1, '"') != argument + len - 1)
		return false;
	argument[len - 1] = '\0';
	memmove(first, first + 1, strlen(first));
	return true;
}

static int arguments_check(const char *text, struct diag *diag)
{
	for (; *text; text++) {
		if (is_control(*text))
			return diag_set(diag, -EINVAL, "--append",
					"control characters cannot be handed "
					"to a kernel; part with spaces");
		if (*text == '\'' || *text == '\\')
			return diag_set(diag, -EINVAL, "--append",
					"GRUB hands no %c to a kernel; quote "
					"with \"",
					*text);
	}
	return 0;
}

int quote_arguments(FILE *f, const char *text, struct diag *diag)
{
	int r = arguments_check(text, diag);

	if (r < 0)
		return r;
	while (*(text += strspn(text, " "))) {
		const char *end = argument_end(text);
		_cleanup_free_ char *argument = strndup(text,
							(size_t)(end - text));

		if (!argument)
			return diag_set(diag, -ENOMEM, "--append", NULL);
		if (!argument_unquote(argument))
			return diag_set(diag, -EINVAL, "--append",
					"quotes stand around an argument or "
					"its value, not as in %s",
					argument);
		fputc(' ', f);
		quote_word(f, argument);
		text = end;
	}
	return 0;
}
