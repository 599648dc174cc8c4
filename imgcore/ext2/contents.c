/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/contents.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/search.h"
#include "base/vec.h"
#include "imgcore/tree.h"

#define RESERVED_BLOCKS 4u /* lost+found is made with room: 16 KiB */

/* ---- the index of an inode ---- */

size_t contents_out_of_order_before(const struct ext2_contents *contents,
				    tree_id node)
{
	return vec_search(&contents->out_of_order, node);
}

uint32_t contents_inode_index(const struct ext2_contents *contents,
			      tree_id node)
{
	if (node == TREE_ROOT)
		return 0;
	if (node == contents->lost_found)
		return 1;
	return 2 + node -
	       (uint32_t)contents_out_of_order_before(contents, node);
}

tree_id contents_node(const struct ext2_contents *contents,
		      uint32_t inode_index)
{
	if (inode_index < 2)
		return inode_index == 0 ? TREE_ROOT : contents->lost_found;
	inode_index -= 2;
	/* How many out of order are before it: items[i] - i never falls. */
	return inode_index +
	       (tree_id)search_first(contents->out_of_order.count, i,
				     contents->out_of_order.items[i] - i <=
					     inode_index);
}

uint32_t contents_inode(const struct ext2_contents *contents, tree_id node)
{
	return inode_index_number(contents_inode_index(
		contents, tree_inode(contents->tree, node)));
}

/* ---- blocks of one inode ---- */

static_assert(offsetof(struct sparse_file, node) == 0, "a record's node");
static_assert(offsetof(struct indexed, node) == 0, "a record's node");

static const struct sparse_file *find_sparse(const struct ext2_contents *d,
					     tree_id node)
{
	return &d->sparse.items[vec_search(&d->sparse, node)];
}

const struct htree *contents_htree(const struct ext2_contents *contents,
				   tree_id node)
{
	size_t lo = vec_search(&contents->htrees, node);

	if (lo == contents->htrees.count ||
	    contents->htrees.items[lo].node != node)
		return NULL;
	return contents->htrees.items[lo].htree;
}

uint32_t contents_dir_blocks(const struct ext2_contents *contents, tree_id node,
			     const struct tree_info *info)
{
	const struct htree *htree = contents_htree(contents, node);

	if (htree)
		return htree_blocks(htree);
	return info->reserved ? RESERVED_BLOCKS : 1;
}

/* Blocks of content, for what has no holes. */
static uint32_t dense_blocks(const struct ext2_contents *d, tree_id node,
			     const struct tree_info *info)
{
	if (S_ISDIR(info->attr.mode))
		return contents_dir_blocks(d, node, info);
	return (uint32_t)div_up(info->size, EXT2_BLOCK);
}

void contents_blockmap(const struct ext2_contents *contents, tree_id node,
		       const struct tree_info *info, struct block_run *dense,
		       struct blockmap *ret_map)
{
	if (info->sparse) {
		const struct sparse_file *f = find_sparse(contents, node);

		blockmap_load(ret_map, contents->runs.items + f->first, f->n);
		return;
	}
	*dense =
		(struct block_run){ .end = dense_blocks(contents, node, info) };
	blockmap_load(ret_map, dense, dense->end > 0);
}

/* ---- extended attributes ---- */

bool contents_xattr_ordinal(const struct ext2_contents *contents,
			    uint32_t inode_index, uint32_t *ret_ordinal)
{
	if (!contents->xattr_block || contents->xattr_block[inode_index] == 0)
		return false;
	*ret_ordinal = contents_owned(contents) +
		       contents->xattr_block[inode_index] - 1;
	return true;
}

void ext2_contents_free(struct ext2_contents *contents)
{
	if (!contents)
		return;
	free(contents->first_block);
	vec_free(&contents->out_of_order);
	for (size_t i = 0; i < contents->htrees.count; i++)
		htree_unref(contents->htrees.items[i].htree);
	vec_free(&contents->htrees);
	vec_free(&contents->sparse);
	vec_free(&contents->runs);
	vec_free(&contents->xattr_blocks);
	free(contents->xattr_block);
	free(contents);
}
