/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_DIRENT_H
#define EXT2_DIRENT_H

/* Entries of directories. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree;
struct tree_info;

#define DIRENT_HEADER 8u /* inode, record length, name length, file type */
#define DIRENT_DOT    12u /* bytes of "." and ".." each */

/* Bytes of an entry with a name of that length. */
uint32_t dirent_length(size_t name_len);
/* Whether "." and ".." and the children of a directory fit into one block. */
bool dirent_fit_block(const struct tree *tree, const struct tree_info *dir);

#endif
