/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_SOURCE_H
#define FS_SOURCE_H

struct diag;

/*
 * Opens the tree to show; *ret_path is the path that leads to it, made absolute
 * by where the caller stands: symbolic links stay in it. The caller closes and
 * frees.
 */
int source_open(const char *src, int *ret_fd, char **ret_path,
		struct diag *diag);

#endif
