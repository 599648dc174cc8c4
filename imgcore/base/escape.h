/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

/* Bytes as text that can be printed: control characters as \xNN. */

#include <stddef.h>

/* What is escaped besides. */
enum {
	ESCAPE_BACKSLASH = 1, /* different bytes stay different */
	ESCAPE_NON_ASCII = 2,
	ESCAPE_NON_UTF8 = 4, /* and UTF-8's further control characters, C1 */
	ESCAPE_ALL = ESCAPE_BACKSLASH | ESCAPE_NON_ASCII, /* ASCII is left */
};

/* Room for the result, its NUL included, of a text of len bytes. */
#define ESCAPE_SIZE(len) (4 * (len) + 1)

/* Writes the result to `to` and returns where it ends. */
char *escape_to(char *to, const char *text, unsigned flags);
/* The same in memory that the caller frees; NULL: out of memory. */
char *escape_text(const char *text, unsigned flags);

#endif
