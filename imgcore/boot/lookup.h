/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_LOOKUP_H
#define BOOT_LOOKUP_H

/* Paths in a tree, symbolic links followed within it. */

#include <stdbool.h>
#include <stddef.h>

#include "imgcore/tree.h"

struct diag;

/* GRUB gives up at the eighth symbolic link of a path, Linux after the 40th. */
#define LOOKUP_LINKS_GRUB  7u
#define LOOKUP_LINKS_LINUX 40u
/*
 * Limit of names on the way, including those of links, since many files may
 * each lead a long way. A path on a disk has less than a hundred.
 */
#define LOOKUP_NAMES 512u

/*
 * The node that path leads to from dir, or TREE_NONE. A path that starts with a
 * '/' starts at the root, and so does such a link: the tree is a partition.
 */
tree_id lookup(const struct tree *tree, tree_id dir, const char *path,
	       size_t len, unsigned links_max);

bool lookup_is_dir(const struct tree *tree, tree_id id);
bool lookup_is_file(const struct tree *tree, tree_id id);

/*
 * Finds the last name of a path from the root, and the file that it leads to,
 * which GRUB can read. False: there is none.
 */
struct lookup_file {
	tree_id dir;
	tree_id name;
	tree_id file;
};
bool lookup_file(const struct tree *tree, const char *path,
		 struct lookup_file *ret);

/* Limit of a text in bytes: ten times the longest command line. */
#define LOOKUP_TEXT_MAX 65536u

/*
 * Reads a small text file, with a NUL after it. Sets either the text or the
 * reason why there is none, which the caller frees. -ESTALE with a diagnostic,
 * or -ENOMEM.
 */
int lookup_text(const struct tree *tree, tree_id file, char **ret_text,
		char **ret_reason, struct diag *diag);

#endif
