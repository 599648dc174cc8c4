/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_HOST_H
#define TREE_HOST_H

#include <stdint.h>

/*
 * Opens a path beneath a directory: no symbolic link on the way or at its end,
 * no other file system (-EXDEV), nothing above. The path may be longer than
 * PATH_MAX; "" is the directory itself. Reading does not touch access times
 * where the caller may ask for that. A descriptor or a negative errno.
 */
int host_open_beneath(int root_fd, const char *path, int flags);
/* The same, but also on other file systems, except own_dev (-EXDEV). */
int host_open_across(int root_fd, const char *path, uint64_t own_dev,
		     int flags);

/*
 * Opens the regular file that the symbolic link at `path` beneath a directory
 * leads to, anywhere on the host except on own_dev: a descriptor or a negative
 * errno. -ENODEV: there is no link of the effective user that leads out of the
 * directory, or it leads to own_dev, or not to a regular file; other errors are
 * those of host_open_beneath and of follow_resolve.
 */
int host_open_link(int root_fd, const char *path, uint64_t own_dev, int flags);

#endif
