/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_ARCHIVES_H
#define IMAGE_ARCHIVES_H

#include "imgcore/tree.h"

struct diag;

/*
 * Grafts a file at the path of each archive in the tree of archives: what is
 * below it, as one cpio archive, computed when it is read. The tree outlives
 * what is made of the grafts. `in` is the directory of the root that holds
 * them; attr is that of directories that are missing above. 0 or a negative
 * errno with a diagnostic.
 */
int archives_graft(const struct tree *archives, const char *in,
		   const struct tree_attr *attr, struct tree_builder *grafts,
		   struct diag *diag);

#endif
