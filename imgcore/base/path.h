/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <string.h>

/*
 * What stands before the '/' of a path below an absolute one: that, but for
 * the root, whose own '/' it is.
 */
static inline const char *path_above(const char *dir)
{
	return strcmp(dir, "/") == 0 ? "" : dir;
}

#endif
