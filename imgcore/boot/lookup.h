/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_LOOKUP_H
#define BOOT_LOOKUP_H

/* Paths in a tree, symbolic links followed within it. */

#include <stdbool.h>
#include <stddef.h>

#include "imgcore/tree.h"

/* GRUB gives up at the eighth symbolic link of a path, Linux behind the 40th.
 */
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
 * What a path from the root leads to: its last name as it stands in a
 * directory, and the file behind it, which GRUB can read. False: none.
 */
struct lookup_file {
	tree_id dir;
	tree_id name;
	tree_id file;
};
bool lookup_file(const struct tree *tree, const char *path,
		 struct lookup_file *ret);

#endif
