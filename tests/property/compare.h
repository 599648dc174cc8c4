/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef COMPARE_H
#define COMPARE_H

/*
 * Is what a driver shows of a file system the tree that it was made of? Every
 * name and no other, type, permissions, owner, times, links, device, target,
 * bytes, and where asked, holes to the block.
 */

#include <stdbool.h>

#include "imgcore/tree.h"

/*
 * Compares what is mounted at `path`; says on standard error what differs.
 * Returns how many differences there are. holes: the driver tells of them.
 */
unsigned compare_tree(const struct tree *tree, const char *path, bool holes);

#endif
