/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SCALE_TREES_H
#define SCALE_TREES_H

/*
 * Trees at the limits of the format, each by a name. What they hold is large
 * by numbers or by holes, so their disks are small.
 *
 *     ends      files that end within each range of the block map, to the byte
 *     deep      a path of 4,000 bytes, and one far beyond PATH_MAX
 *     links     65,000 names of one file, over ten directories
 */

#include <stdint.h>

#include "imgcore/tree.h"

/* The largest file, less than 2 TiB; and that which takes no huge_file. */
#define LARGEST_FILE ((UINT64_C(1) << 41) - 4096)
#define PLAIN_FILE   UINT64_C(2196873666560)

/* NULL: no tree has that name. */
struct tree *scale_tree(const char *name);

/* 2,000 directories of 1,000 files of 512 bytes each. */
struct tree *million_tree(uint32_t directories, uint32_t files);
/* One file of `links` names. */
struct tree *links_tree(uint32_t links);

#endif
