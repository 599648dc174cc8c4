/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OWNERS_H
#define FS_OWNERS_H

#include <stdbool.h>

struct image_options;
struct tree;

#define OWNERS_HIDDEN                                                       \
	"files of owners that this user namespace does not have belong to " \
	"nobody (65534) on the disk; give another owner with --owner"

/*
 * Whether the tree shows owners that the host has, but does not tell: in a user
 * namespace each id that it has no number for looks like one and the same.
 */
bool owners_are_hidden(const struct image_options *options,
		       const struct tree *tree);

#endif
