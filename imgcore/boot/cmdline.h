/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_CMDLINE_H
#define BOOT_CMDLINE_H

/*
 * A kernel's command line: words separated by spaces outside of double quotes,
 * which are around a word or around its value.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "imgcore/boot.h"

/*
 * Sets the reason why GRUB would not pass text to a kernel as it is, or NULL;
 * the caller frees it. 0 or -ENOMEM.
 */
int cmdline_check(const char *text, char **ret_reason);

/*
 * Print text as the kernel gets it from GRUB, and as words of a GRUB script; a
 * space before each word. Add the offsets of placeholders, unless NULL.
 */
int cmdline_put(FILE *f, const char *text,
		struct boot_placeholders *placeholders);
int cmdline_quote(FILE *f, const char *text,
		  struct boot_placeholders *placeholders);

/* Whether one of the words begins so. */
bool cmdline_has(const char *text, const char *prefix);

/* Bytes of `BOOT_IMAGE=PATH ARGUMENTS`, as GRUB writes them, without the NUL.
 */
uint64_t cmdline_size(const char *path, const char *arguments);

/* The parts of a command line; own and append may be NULL. */
struct cmdline {
	const char *consoles; /* the target's */
	bool root; /* root= is partition 2, unless a part has another */
	const char *own; /* the kernel's */
	const char *append; /* the user's, for all kernels */
};
int cmdline_make(const struct cmdline *parts, char **ret_text,
		 struct boot_placeholders *placeholders);

/* Writes the signature at each placeholder of text. */
void cmdline_sign(char *text, const struct boot_placeholders *placeholders,
		  uint32_t disk_signature);

#endif
