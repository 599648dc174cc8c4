/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_HTREE_H
#define EXT2_HTREE_H

/*
 * Indexed directories: all that do not fit into one block.
 *
 *     block    | 0: root | 1 ... nodes | leaves .......................... |
 *
 * The leaves hold the children in the order of their names' hashes. The root
 * names the nodes, and a node up to 511 leaves; where the root has room for
 * all the leaves there are no nodes. To a driver that knows nothing of this,
 * root and nodes are blocks without children.
 *
 * What is kept of a directory is the order of its children and where each leaf
 * begins: four bytes per name and eight per leaf.
 *
 * Source: the kernel's Documentation/filesystems/ext4/directory.rst.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/ext2.h"

#define HTREE_ROOT_FANOUT 508u
#define HTREE_NODE_FANOUT 511u
/* Of two levels; a third takes a feature that ext2 does not have. */
#define HTREE_MAX_LEAVES (HTREE_ROOT_FANOUT * HTREE_NODE_FANOUT)

/* The hash of a name; its lowest bit is 0. */
typedef uint32_t (*htree_hash)(const uint8_t seed[16], const char *name,
			       size_t len);
/* The one that the superblock names: half MD4 of unsigned characters. */
uint32_t htree_half_md4(const uint8_t seed[16], const char *name, size_t len);

/* What makes an index; tests have rules of their own. */
struct htree_rules {
	htree_hash hash;
	uint32_t max_leaves;
};

struct htree_leaf {
	uint32_t first; /* of its children, in the order of hashes */
	uint32_t hash; /* of that child; 1 more: the leaf before has it too */
};

/*
 * The index of a directory, whose entries alone decide it: plans of trees that
 * share the directory share it. Counted.
 */
struct htree {
	atomic_uint users;
	uintptr_t shared; /* tree_shared of the directory */
	uint32_t n_children;
	uint32_t n_leaves;
	struct htree_leaf *leaves;
	uint32_t order[]; /* children by hash, as offsets from the first */
};

/*
 * The index of a directory of the tree; seed: of the hash. -EFBIG: more leaves
 * than two levels hold; -ENOMEM.
 */
int htree_new(struct htree **ret_htree, const struct tree *tree,
	      const struct htree_rules *rules, const uint8_t seed[16],
	      const struct tree_info *dir);
struct htree *htree_ref(struct htree *htree);
void htree_unref(struct htree *htree);

/* Blocks before the leaves: the root and the nodes. */
uint32_t htree_index_blocks(const struct htree *htree);
/* All of them. */
uint32_t htree_blocks(const struct htree *htree);
/* The children of a leaf, as offsets from the directory's first. */
const uint32_t *htree_children(const struct htree *htree, uint32_t leaf,
			       uint32_t *ret_n);
/* The index in a block before the leaves; of the root, all behind "..". */
void htree_render(const struct htree *htree, uint32_t index, uint8_t *buf);

#endif
