/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at s, or 0 if it is none. */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0xc2   ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;
	uint32_t c = len ? s[0] & (0x7fu >> len) : 0;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (len &&
	    (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	/* C1 controls are controls too. */
	return len == 2 && c < 0xa0 ? 0 : len;
}

char *escape_to(char *to, const char *text, unsigned flags)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		bool plain = *s >= 0x80 ? !(flags & ESCAPE_NON_ASCII)
					: *s >= 0x20 && *s != 0x7f &&
						  !(*s == '\\' &&
						    flags & ESCAPE_BACKSLASH);
		size_t len = plain && *s >= 0x80 && flags & ESCAPE_NON_UTF8
				     ? utf8_len(s)
				     : plain;

		if (len == 0) {
			to = stpcpy(to, "\\x");
			*to++ = digits[*s >> 4];
			*to++ = digits[*s++ & 15];
		}
		for (; len > 0; len--)
			*to++ = (char)*s++;
	}
	*to = '\0';
	return to;
}

char *escape_text(const char *text, unsigned flags)
{
	char *escaped = malloc(ESCAPE_SIZE(strlen(text)));

	if (escaped)
		escape_to(escaped, text, flags);
	return escaped;
}
