/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_QUOTE_H
#define BOOT_QUOTE_H

/*
 * Values in a GRUB script, such that none of them can end its word.
 * Source: GRUB's manual, "Writing configuration files directly"; grub-core/
 * lib/cmdline.c for the kernel's command line.
 */

#include <stdio.h>

struct diag;

/* One word that stands for exactly these bytes; plain where it can be. */
void quote_word(FILE *f, const char *text);

/*
 * What can be shown of these bytes: no printable ASCII, and the backslash, as
 * \xNN. Different bytes stay different. The caller frees; NULL: out of memory.
 */
char *quote_shown(const char *text);

/*
 * Kernel arguments, a space before each, from a command line as the kernel
 * reads it: spaces part them, but inside of double quotes. -EINVAL with a
 * reason where GRUB would not hand it over as it is.
 */
int quote_arguments(FILE *f, const char *text, struct diag *diag);

#endif
