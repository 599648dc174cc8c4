/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_WORDS_H
#define FS_WORDS_H

/* A file's name as a value of QEMU's; the caller frees. NULL: no memory. */
char *words_qemu_file(const char *path);

#endif
