/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

/*
 * Values in a script of the shell's or GRUB's, such that none of them can end
 * its word, and in QEMU's options.
 * Source: POSIX, "Shell Command Language", 2.2; GRUB's manual, "Writing
 * configuration files directly"; qemu(1), -drive.
 */

#include <stdio.h>

/* One word that stands for exactly these bytes; plain where it can be. */
void quote_word(FILE *f, const char *text);
/* The same, never plain. */
void quote_text(FILE *f, const char *text);

/* A file's name as a value of QEMU's; the caller frees. NULL: no memory. */
char *quote_qemu_file(const char *path);

#endif
