/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_EXT2_H
#define UNIT_SUPPORT_EXT2_H

/* Plans of small trees, and their blocks as a driver reads them. */

#include "support.h"

#include "base/le.h"
#include "ext2/layout.h"

DEFINE_CLEANUP(struct ext2_layout, layout_free)
#define _cleanup_layout_ _cleanup_(layout_freep)

#define MEBI (UINT64_C(1) << 20)

static const uint8_t hash_seed[16] = { 4, 5, 6 };

/* Takes contents over on success. */
static inline int volume_layout(struct ext2_layout **ret_layout,
				struct ext2_contents *contents,
				const struct ext2_options *options,
				struct diag *diag)
{
	struct volume *volume;
	int r = ext2_volume_new(&volume, contents, options, diag);

	if (r == 0)
		*ret_layout = (struct ext2_layout *)volume;
	return r;
}

static inline void locate_block(const struct ext2_layout *layout,
				uint32_t block, struct region *ret_region)
{
	layout->volume.ops->locate(&layout->volume, block, ret_region);
	assert_true(ret_region->start / EXT2_BLOCK <= block);
	assert_true(ret_region->end / EXT2_BLOCK > block);
}

/* A block that is computed; zeroes for one that is zero. */
static inline void render_block(const struct ext2_layout *layout,
				uint32_t block, uint8_t *buf)
{
	struct region region;

	locate_block(layout, block, &region);
	if (region.kind == REGION_RENDER)
		layout->volume.ops->render(&layout->volume, &region,
					   block - region.start / EXT2_BLOCK,
					   buf);
	else
		memset(buf, 0, EXT2_BLOCK);
}

static inline int try_layout(const struct tree *tree, uint64_t size,
			     uint64_t free, struct ext2_layout **ret_layout,
			     struct diag *diag)
{
	static const uint8_t uuid[16] = { 1, 2, 3 };
	const struct ext2_options options = {
		.size = size,
		.free = free,
		.uuid = uuid,
		.label = "test",
	};
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	int r = ext2_contents_new(&contents, tree, hash_seed, NULL, diag);

	if (r == 0)
		r = volume_layout(ret_layout, contents, &options, diag);
	if (r == 0)
		contents = NULL;
	return r;
}

/* A layout of a size, or as large as it must be. */
static inline struct ext2_layout *layout_of_tree(const struct tree *tree,
						 uint64_t size)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct ext2_layout *layout = NULL;

	if (size == 0) {
		_cleanup_(ext2_contents_freep) struct ext2_contents *contents =
			NULL;

		assert_ok(ext2_contents_new(&contents, tree, hash_seed, NULL,
					    NULL));
		assert_ok(ext2_contents_size(contents, 0, &size, NULL));
	}
	if (try_layout(tree, size, 0, &layout, &diag) < 0)
		fail_msg("%s: %s", diag.path ? diag.path : "", diag.reason);
	return layout;
}

/* What the limits of the format say to a tree. */
static inline int contents_error(const struct tree *tree, struct diag *diag)
{
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;

	return ext2_contents_new(&contents, tree, hash_seed, NULL, diag);
}

static inline void read_inode(const struct ext2_layout *layout, uint32_t ino,
			      struct ext2_inode_large *ret)
{
	const struct geometry *geo = &layout->geometry;
	uint32_t g = (ino - 1) / geo->inodes_per_group;
	uint32_t i = (ino - 1) % geo->inodes_per_group;
	uint8_t buf[EXT2_BLOCK];

	render_block(layout, geo->groups[g].inode_table + i / 16, buf);
	memcpy(ret, buf + i % 16 * 256, sizeof(*ret));
}

static inline void read_node(const struct ext2_layout *layout, const char *path,
			     struct ext2_inode_large *ret)
{
	const struct tree *tree = layout->contents->tree;

	read_inode(layout,
		   contents_inode(layout->contents, must_find(tree, path)),
		   ret);
}

/* The block that holds block `at` of a file, as a driver finds it; 0: a hole.
 */
static inline uint32_t walk_inode(const struct ext2_layout *layout,
				  const struct ext2_inode_large *inode,
				  uint64_t at)
{
	uint64_t covered = 1;
	uint32_t block;
	int level = 0;

	if (at < 12)
		return le32toh(inode->i_block[at]);
	at -= 12;
	do {
		covered *= 1024;
		level++;
		if (at < covered)
			break;
		at -= covered;
	} while (level < 3);
	block = le32toh(inode->i_block[11 + level]);
	for (; level > 0 && block != 0; level--) {
		uint8_t buf[EXT2_BLOCK];

		covered /= 1024;
		render_block(layout, block, buf);
		block = get_le32(buf + at / covered % 1024 * 4);
	}
	return block;
}

#endif
