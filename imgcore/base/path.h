/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <string.h>

/*
 * The prefix to join a directory's absolute path with "/NAME": the path itself,
 * or "" for the root.
 */
static inline const char *path_prefix(const char *dir)
{
	return strcmp(dir, "/") == 0 ? "" : dir;
}

#endif
