/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_SOURCE_H
#define IMGCORE_SOURCE_H

struct diag;

/*
 * Opens the directory to show. *ret_path is src as an absolute path in which
 * symbolic links are kept. The caller closes and frees.
 */
int source_open(const char *src, int *ret_fd, char **ret_path,
		struct diag *diag);

#endif
