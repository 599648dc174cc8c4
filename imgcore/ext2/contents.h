/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_CONTENTS_H
#define EXT2_CONTENTS_H

/*
 * What a tree needs, whatever the partition: an inode number for each inode and
 * a place in ordinal space for each of its blocks; see ext2/layout.h.
 */

#include <ext2fs/ext2_fs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ext2/blockmap.h"
#include "ext2/htree.h"
#include "imgcore/ext2.h"

/* A block of extended attributes, and how many inodes share it. */
struct xattr_block {
	uint32_t set; /* of the tree */
	uint32_t users;
};

/* A file with holes: its data runs. */
struct sparse_file {
	tree_id node;
	uint32_t n;
	size_t first; /* in contents.runs */
};

struct ext2_contents {
	const struct tree *tree;
	struct htree_rules rules;
	uint8_t seed[16]; /* of the hash */
	tree_id lost_found;
	bool huge_file; /* a file is larger than Linux expects without it */
	bool dir_nlink; /* a directory has more links than a count holds */
	uint32_t inodes; /* how many indexes there are */
	uint32_t
		*first_block; /* of each, an ordinal, and the end: inodes + 1 */
	/* Nodes out of order: root, lost+found, further hard links. */
	struct {
		tree_id *items;
		size_t count, size;
	} out_of_order;
	/* Of the directories that have one, by node. */
	struct {
		struct indexed {
			tree_id node;
			struct htree *htree;
		} * items;
		size_t count, size;
	} htrees;
	struct {
		struct sparse_file *items;
		size_t count, size;
	} sparse;
	struct {
		struct block_run *items;
		size_t count, size;
	} runs;
	/* Their ordinals follow those of all inodes' blocks. */
	struct {
		struct xattr_block *items;
		size_t count, size;
	} xattr_blocks;
	uint32_t *xattr_block; /* of each inode, from 1; NULL: none has any */
};

DEFINE_CLEANUP(struct ext2_contents, ext2_contents_free)

/* Ordinals that inodes' own blocks take, and those of all blocks. */
static inline uint32_t contents_owned(const struct ext2_contents *contents)
{
	return contents->first_block[contents->inodes];
}

static inline uint32_t contents_used(const struct ext2_contents *contents)
{
	return contents_owned(contents) +
	       (uint32_t)contents->xattr_blocks.count;
}

/* How many nodes out of order stand before a node. */
size_t contents_out_of_order_before(const struct ext2_contents *contents,
				    tree_id node);
/* Inode numbers and indexes; node must not be a further link.
 */
uint32_t contents_inode_index(const struct ext2_contents *contents,
			      tree_id node);
tree_id contents_node(const struct ext2_contents *contents,
		      uint32_t inode_index);
static inline uint32_t inode_index_number(uint32_t inode_index)
{
	return inode_index == 0 ? EXT2_ROOT_INO
				: EXT2_GOOD_OLD_FIRST_INO - 1 + inode_index;
}
/* The inode number that a name leads to. */
uint32_t contents_inode(const struct ext2_contents *contents, tree_id node);

/*
 * The block map of a regular file or directory. `dense` is room for the one
 * run of what has no holes, and must live as long as the map.
 */
void contents_blockmap(const struct ext2_contents *contents, tree_id node,
		       const struct tree_info *info, struct block_run *dense,
		       struct blockmap *ret_map);

/* The directory's index, or NULL: it has none. */
const struct htree *contents_htree(const struct ext2_contents *contents,
				   tree_id node);
/* Blocks that the directory has: what it needs, or what mke2fs gives it. */
uint32_t contents_dir_blocks(const struct ext2_contents *contents, tree_id node,
			     const struct tree_info *info);

/* The ordinal of an inode's block, or false. */
bool contents_xattr_ordinal(const struct ext2_contents *contents,
			    uint32_t inode_index, uint32_t *ret_ordinal);

#endif
