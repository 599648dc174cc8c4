/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signature follows from the content of both trees, and the menu is part of
 * that: it is written with zeroes in it first. What is put in is a whole word,
 * outside of quotes, so a name of a file or a title never changes.
 */
#include <stdio.h>
#include <string.h>

#include "boot/cmdline.h"
#include "imgcore/boot.h"

#define ZEROS_AT strlen("root=PARTUUID=")

/* The end of the word at text, as GRUB parts them; whether it had quotes. */
static char *word_end(char *text, char *end, bool *ret_plain)
{
	char quote = '\0';

	*ret_plain = true;
	for (; text < end && (quote || (*text != ' ' && *text != '\n'));
	     text++) {
		if (*text == '\\' && quote != '\'' && text + 1 < end) {
			*ret_plain = false;
			text++;
		} else if (quote ? *text == quote
				 : *text == '\'' || *text == '"') {
			*ret_plain = false;
			quote = quote ? '\0' : *text;
		}
	}
	return text;
}

void boot_menu_sign(char *text, size_t len, uint32_t disk_signature)
{
	size_t word_len = strlen(CMDLINE_ROOT);
	char *end = text + len;
	char digits[9];

	snprintf(digits, sizeof(digits), "%08x", disk_signature);
	while (text < end) {
		bool plain;
		char *next = word_end(text, end, &plain);

		if (plain && (size_t)(next - text) == word_len &&
		    memcmp(text, CMDLINE_ROOT, word_len) == 0)
			memcpy(text + ZEROS_AT, digits, 8);
		text = next + (next < end);
	}
}
