/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_HOST_H
#define TREE_HOST_H

#include "imgcore/tree.h"

/*
 * Opens a path beneath a directory: no symbolic link on the way or at its end,
 * no other file system (-EXDEV), nothing above. The path may be longer than
 * PATH_MAX; "" is the directory itself. Reading does not touch access times
 * where the caller may ask for that. A descriptor or a negative errno.
 */
int host_open_beneath(int root_fd, const char *path, int flags);

#endif
