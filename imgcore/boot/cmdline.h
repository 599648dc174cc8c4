/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_CMDLINE_H
#define BOOT_CMDLINE_H

/*
 * A kernel's command line: words that spaces part, but inside of double quotes,
 * which stand around a word or around its value.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Why GRUB would not hand text over as it is, or NULL; caller frees. -ENOMEM.
 */
int cmdline_check(const char *text, char **ret_reason);

/* What text is once it has been through GRUB: a space before each word. */
int cmdline_put(FILE *f, const char *text);
/* The same as words of a GRUB script. */
int cmdline_quote(FILE *f, const char *text);

/* Whether one of the words begins so. */
bool cmdline_has(const char *text, const char *prefix);

/* Bytes of `BOOT_IMAGE=PATH ARGUMENTS`, as GRUB writes them, without the NUL.
 */
uint64_t cmdline_size(const char *path, const char *arguments);

/* What parts of it come from where; each may be NULL. */
struct cmdline {
	const char *consoles; /* the target's */
	bool root; /* root= is partition 2, unless a word says else */
	const char *own; /* the kernel's */
	const char *append; /* the user's, for all kernels */
};
int cmdline_make(const struct cmdline *parts, char **ret_text);

/* The word that boot_menu_sign looks for. */
#define CMDLINE_ROOT "root=PARTUUID=00000000-02"

#endif
