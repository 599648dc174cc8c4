/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

/*
 * asprintf that returns 0 or -ENOMEM, and sets *ret_text to NULL when it fails.
 * The caller frees the text.
 */
int text_format(char **ret_text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
