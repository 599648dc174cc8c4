/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_HOST_H
#define TREE_HOST_H

#include <stdint.h>

struct tree;

/*
 * Opens a path beneath a directory: no symbolic link on the way or at its end,
 * no other file system (-EXDEV), nothing above. The path may be longer than
 * PATH_MAX; "" is the directory itself. Reading does not touch access times
 * where the caller may ask for that. A descriptor or a negative errno.
 */
int host_open_beneath(int root_fd, const char *path, int flags);
/* The same, but into any other file system than own_dev (-EXDEV). */
int host_open_across(int root_fd, const char *path, uint64_t own_dev,
		     int flags);
/* The one or the other, as the tree was scanned. */
int host_open_in_tree(const struct tree *tree, const char *path, int flags);

/*
 * Follows the symbolic link at `path` beneath a directory to the regular file
 * it leads to, anywhere on the host but on own_dev, and opens that: a
 * descriptor or a negative errno. -ENODEV: there is no link of the effective
 * user's that leads out of the directory, or it leads to something else than a
 * regular file, or to own_dev; others are those of host_open_beneath and of
 * follow_resolve.
 */
int host_open_link(int root_fd, const char *path, uint64_t own_dev, int flags);

#endif
