/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/dirent.h"

#include "imgcore/ext2.h"
#include "imgcore/tree.h"

uint32_t dirent_length(size_t name_len)
{
	return DIRENT_HEADER + ((uint32_t)name_len + 3) / 4 * 4;
}

static void add_length(void *context, tree_id id, const struct tree_info *child)
{
	uint32_t *used = context;

	(void)id;
	*used += dirent_length(child->name_len);
}

bool dirent_fit_block(const struct tree *tree, const struct tree_info *dir)
{
	uint32_t used = 2 * DIRENT_DOT;

	/* More do not fit, whatever their names. */
	if (dir->n_children > EXT2_BLOCK / dirent_length(1))
		return false;
	tree_walk(tree, dir->first_child, dir->first_child + dir->n_children,
		  add_length, &used);
	return used <= EXT2_BLOCK;
}
