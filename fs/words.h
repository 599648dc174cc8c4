/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_WORDS_H
#define FS_WORDS_H

/* Words as others read them. */

#include <stdio.h>

/* A file's name as a value of QEMU's; the caller frees. NULL: no memory. */
char *words_qemu_file(const char *path);
/* A word as a shell takes it: in quotes, where it needs them. */
void words_print(const char *word, FILE *out);

#endif
