/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_PLAN_H
#define EXT2_PLAN_H

/*
 * The inside of a plan. Two halves:
 *
 * demand    what the tree needs, whatever the partition: an inode number for
 *           each inode and a place in ordinal space for each of its blocks
 * geometry  what the partition offers: block groups and their overhead
 *
 * Ordinals number the blocks that are free for data, group by group, with the
 * groups' overhead left out. Data takes ordinals 0 ... used - 1 in the order
 * of inodes, and blocks of extended attributes behind it, so bitmaps, pointers
 * and counts follow by arithmetic.
 *
 *     group    | overhead ............................ | ordinals .......... |
 *              | super, descriptors (some groups) | block bitmap | inode
 *                bitmap | inode table |
 *
 * Inodes form a sequence: 0 is the root (inode 2), 1 lost+found (inode 11),
 * all others follow in the order of their nodes (12, 13, ...), so the children
 * of a directory have consecutive numbers.
 */

#include <ext2fs/ext2_fs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ext2/blockmap.h"
#include "ext2/htree.h"
#include "imgcore/ext2.h"

/* ---- demand ---- */

/* A block of extended attributes, and how many inodes share it. */
struct xattr_block {
	uint32_t set; /* of the tree */
	uint32_t users;
};

/* A file with holes: its data runs. */
struct sparse_file {
	tree_id node;
	uint32_t n;
	size_t first; /* in demand.runs */
};

struct ext2_demand {
	const struct tree *tree;
	struct htree_rules rules;
	uint8_t seed[16]; /* of the hash */
	tree_id lost_found;
	bool huge_file; /* a file is larger than Linux expects without it */
	bool dir_nlink; /* a directory has more links than a count holds */
	uint32_t inodes; /* length of the sequence */
	uint32_t *start; /* first ordinal of each, and the end: inodes + 1 */
	/* Nodes out of sequence: root, lost+found, further hard links. */
	struct {
		tree_id *items;
		size_t count, size;
	} apart;
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

DEFINE_CLEANUP(struct ext2_demand, ext2_demand_free)

/* ext2_demand_new with other rules: for tests, which want equal hashes. */
int demand_new_ruled(struct ext2_demand **ret_demand, const struct tree *tree,
		     const uint8_t seed[16], const struct htree_rules *rules,
		     const struct ext2_demand *previous, struct diag *diag);

/* Ordinals that inodes' own blocks take, and those of all blocks. */
static inline uint32_t demand_owned(const struct ext2_demand *demand)
{
	return demand->start[demand->inodes];
}

static inline uint32_t demand_used(const struct ext2_demand *demand)
{
	return demand_owned(demand) + (uint32_t)demand->xattr_blocks.count;
}

/* Inode numbers and places in the sequence; node must not be a further link. */
uint32_t demand_sequence(const struct ext2_demand *demand, tree_id node);
tree_id demand_node(const struct ext2_demand *demand, uint32_t sequence);
static inline uint32_t sequence_inode(uint32_t sequence)
{
	return sequence == 0 ? EXT2_ROOT_INO
			     : EXT2_GOOD_OLD_FIRST_INO - 1 + sequence;
}
/* The inode number that a name leads to. */
uint32_t demand_inode(const struct ext2_demand *demand, tree_id node);

/*
 * The block map of a regular file or directory. `dense` is room for the one
 * run of what has no holes, and must live as long as the map.
 */
void demand_blockmap(const struct ext2_demand *demand, tree_id node,
		     const struct tree_info *info, struct block_run *dense,
		     struct blockmap *ret_map);

/* ---- geometry ---- */

struct group {
	uint32_t start; /* its first block */
	uint32_t data; /* its first block behind the overhead */
	uint32_t first_ordinal;
	uint32_t block_bitmap;
	uint32_t inode_bitmap;
	uint32_t inode_table;
	uint32_t used_dirs;
};

struct geometry {
	uint32_t blocks;
	uint32_t blocks_per_group;
	uint32_t inodes_per_group;
	uint32_t table_blocks; /* of one group's inode table */
	uint32_t desc_blocks;
	uint32_t n_groups;
	uint32_t usable; /* ordinals there are */
	struct group *groups;
};

/*
 * The geometry of a file system of that many blocks and at least that many
 * inodes, as libext2fs makes it. -ENOSPC: too few blocks for so many inodes.
 */
int geometry_init(struct geometry *geometry, uint32_t blocks, uint32_t inodes,
		  struct diag *diag);
void geometry_release(struct geometry *geometry);

static inline uint32_t group_end(const struct geometry *geometry, uint32_t g)
{
	uint64_t end = (uint64_t)(g + 1) * geometry->blocks_per_group;

	return end < geometry->blocks ? (uint32_t)end : geometry->blocks;
}

/* Whether a group has a copy of superblock and descriptors. */
bool geometry_has_super(uint32_t group);
/* The block of an ordinal. */
uint32_t geometry_block(const struct geometry *geometry, uint32_t ordinal);

/* ---- plan ---- */

struct ext2_plan {
	struct ext2_demand *demand;
	struct geometry geometry;
	uint32_t free_blocks;
	uint32_t free_inodes;
	uint8_t uuid[16];
	char label[16];
};

/* The number of inodes in use: 1 ... that. */
static inline uint32_t plan_last_inode(const struct ext2_plan *plan)
{
	return sequence_inode(plan->demand->inodes - 1);
}

/* Inodes of a group in use. */
uint32_t plan_group_inodes(const struct ext2_plan *plan, uint32_t group);
/* Ordinals of a group in use. */
uint32_t plan_group_used(const struct ext2_plan *plan, uint32_t group);

enum place_kind {
	PLACE_SUPER,
	PLACE_DESCRIPTORS,
	PLACE_BLOCK_BITMAP,
	PLACE_INODE_BITMAP,
	PLACE_INODE_TABLE,
	PLACE_TABLE_REST, /* inodes that are not in use */
	PLACE_FREE,
	PLACE_DIRECTORY,
	PLACE_SYMLINK,
	PLACE_INDIRECT,
	PLACE_FILE,
	PLACE_XATTR,
};

/* What stands at a block, and how far around it. */
struct place {
	enum place_kind kind;
	uint32_t start; /* blocks [start, end), all of one kind and owner */
	uint32_t end;
	uint32_t group;
	uint32_t index; /* of the block within its structure */
	tree_id node; /* or TREE_NONE */
	uint64_t file_offset; /* PLACE_FILE: of `start`, in bytes */
};

void plan_locate(const struct ext2_plan *plan, uint32_t block,
		 struct place *ret_place);

/* ---- renderers: they fill one block ---- */

void render_super(const struct ext2_plan *plan, uint32_t group, uint8_t *buf);
void render_descriptors(const struct ext2_plan *plan, uint32_t index,
			uint8_t *buf);
void render_block_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf);
void render_inode_bitmap(const struct ext2_plan *plan, uint32_t group,
			 uint8_t *buf);
void render_inode_table(const struct ext2_plan *plan, uint32_t group,
			uint32_t index, uint8_t *buf);
void render_directory(const struct ext2_plan *plan, tree_id node,
		      uint32_t index, uint8_t *buf);
void render_symlink(const struct ext2_plan *plan, tree_id node, uint8_t *buf);
void render_indirect(const struct ext2_plan *plan, tree_id node,
		     uint32_t number, uint8_t *buf);

void render_xattr(const struct ext2_plan *plan, uint32_t index, uint8_t *buf);

/* ---- extended attributes ---- */

/*
 * Gives every inode that has some a block of them, shared by those of equal
 * sets. -E2BIG names the path of the first whose set no block holds.
 */
int demand_place_xattrs(struct ext2_demand *demand, struct diag *diag);
/* The ordinal of an inode's block, or false. */
bool demand_xattr_ordinal(const struct ext2_demand *demand, uint32_t sequence,
			  uint32_t *ret_ordinal);

/* ---- directories ---- */

/* Bytes of an entry with a name of that length. */
uint32_t dir_entry_length(size_t name_len);
/* Whether "." and ".." and the children go into one block. */
bool dir_fits_block(const struct tree *tree, const struct tree_info *dir);
/* The directory's index, or NULL: it has none. */
const struct htree *demand_htree(const struct ext2_demand *demand,
				 tree_id node);
/* Blocks that the directory has: what it needs, or what mke2fs gives it. */
uint32_t demand_dir_blocks(const struct ext2_demand *demand, tree_id node,
			   const struct tree_info *info);

#endif
