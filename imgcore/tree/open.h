/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_OPEN_H
#define TREE_OPEN_H

struct tree;

/*
 * Opens a path beneath the root of a scanned tree, on other file systems only
 * if the tree crosses mounts. A descriptor or a negative errno.
 */
int tree_open_path(const struct tree *tree, const char *path, int flags);

#endif
