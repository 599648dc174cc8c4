/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

/*
 * Values in a script of the shell's or GRUB's, such that none of them can end
 * its word.
 * Source: POSIX, "Shell Command Language", 2.2; GRUB's manual, "Writing
 * configuration files directly".
 */

#include <stdio.h>

/* One word that stands for exactly these bytes; plain where it can be. */
void quote_word(FILE *f, const char *text);
/* The same, never plain. */
void quote_text(FILE *f, const char *text);

/*
 * What can be shown of these bytes: no printable ASCII, and the backslash, as
 * \xNN. Different bytes stay different. The caller frees; NULL: out of memory.
 */
char *quote_shown(const char *text);

#endif
