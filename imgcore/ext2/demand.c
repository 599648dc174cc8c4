/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/demand.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/search.h"
#include "base/vec.h"
#include "imgcore/tree.h"

#define RESERVED_BLOCKS 4u /* lost+found is made with room: 16 KiB */

/* ---- sequence ---- */

size_t demand_apart_before(const struct ext2_demand *demand, tree_id node)
{
	return vec_search(&demand->apart, node);
}

uint32_t demand_sequence(const struct ext2_demand *demand, tree_id node)
{
	if (node == TREE_ROOT)
		return 0;
	if (node == demand->lost_found)
		return 1;
	return 2 + node - (uint32_t)demand_apart_before(demand, node);
}

tree_id demand_node(const struct ext2_demand *demand, uint32_t sequence)
{
	if (sequence < 2)
		return sequence == 0 ? TREE_ROOT : demand->lost_found;
	sequence -= 2;
	/* How many stand apart before it: apart[i] - i never falls. */
	return sequence +
	       (tree_id)search_first(demand->apart.count, i,
				     demand->apart.items[i] - i <= sequence);
}

uint32_t demand_inode(const struct ext2_demand *demand, tree_id node)
{
	return sequence_inode(
		demand_sequence(demand, tree_inode(demand->tree, node)));
}

/* ---- blocks of one inode ---- */

static_assert(offsetof(struct sparse_file, node) == 0, "a record's node");
static_assert(offsetof(struct indexed, node) == 0, "a record's node");

static const struct sparse_file *find_sparse(const struct ext2_demand *d,
					     tree_id node)
{
	return &d->sparse.items[vec_search(&d->sparse, node)];
}

const struct htree *demand_htree(const struct ext2_demand *demand, tree_id node)
{
	size_t lo = vec_search(&demand->htrees, node);

	if (lo == demand->htrees.count || demand->htrees.items[lo].node != node)
		return NULL;
	return demand->htrees.items[lo].htree;
}

uint32_t demand_dir_blocks(const struct ext2_demand *demand, tree_id node,
			   const struct tree_info *info)
{
	const struct htree *htree = demand_htree(demand, node);

	if (htree)
		return htree_blocks(htree);
	return info->reserved ? RESERVED_BLOCKS : 1;
}

/* Blocks of content, for what has no holes. */
static uint32_t dense_blocks(const struct ext2_demand *d, tree_id node,
			     const struct tree_info *info)
{
	if (S_ISDIR(info->attr.mode))
		return demand_dir_blocks(d, node, info);
	return (uint32_t)div_up(info->size, EXT2_BLOCK);
}

void demand_blockmap(const struct ext2_demand *demand, tree_id node,
		     const struct tree_info *info, struct block_run *dense,
		     struct blockmap *ret_map)
{
	if (info->sparse) {
		const struct sparse_file *f = find_sparse(demand, node);

		blockmap_load(ret_map, demand->runs.items + f->first, f->n);
		return;
	}
	*dense = (struct block_run){ .end = dense_blocks(demand, node, info) };
	blockmap_load(ret_map, dense, dense->end > 0);
}

/* ---- extended attributes ---- */

bool demand_xattr_ordinal(const struct ext2_demand *demand, uint32_t sequence,
			  uint32_t *ret_ordinal)
{
	if (!demand->xattr_block || demand->xattr_block[sequence] == 0)
		return false;
	*ret_ordinal = demand_owned(demand) + demand->xattr_block[sequence] - 1;
	return true;
}

void ext2_demand_free(struct ext2_demand *demand)
{
	if (!demand)
		return;
	free(demand->start);
	vec_free(&demand->apart);
	for (size_t i = 0; i < demand->htrees.count; i++)
		htree_unref(demand->htrees.items[i].htree);
	vec_free(&demand->htrees);
	vec_free(&demand->sparse);
	vec_free(&demand->runs);
	vec_free(&demand->xattr_blocks);
	free(demand->xattr_block);
	free(demand);
}
