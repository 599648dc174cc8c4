/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/dir.h"

#include <assert.h>
#include <ext2fs/ext2_fs.h>
#include <string.h>
#include <sys/stat.h>

#include "base/le.h"
#include "ext2/dirent.h"
#include "ext2/layout.h"

/*
 * A directory of one block: "." and "..", then the children in the order of
 * their names. A leaf of a larger one (ext2/htree.h) holds children alone, in
 * the order of their hashes. Either way the last entry reaches to the end.
 *
 * Source: the kernel's Documentation/filesystems/ext4/directory.rst.
 */

static_assert(offsetof(struct ext2_dir_entry_2, name) == DIRENT_HEADER,
	      "a directory entry's header");

static uint8_t file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	}
	return EXT2_FT_UNKNOWN;
}

static void put_entry(uint8_t *p, uint32_t inode, uint32_t length,
		      const char *name, size_t name_len, uint8_t type)
{
	put_le32(p, inode);
	put_le16(p + 4, (uint16_t)length);
	p[6] = (uint8_t)name_len;
	p[7] = type;
	memcpy(p + DIRENT_HEADER, name, name_len);
}

/* The last entry of a block reaches to its end. */
static void stretch(uint8_t *buf, uint32_t last)
{
	put_le16(buf + last + 4, (uint16_t)(EXT2_BLOCK - last));
}

static void put_dots(const struct ext2_contents *d, tree_id node,
		     const struct tree_info *info, uint8_t *buf)
{
	put_entry(buf, contents_inode(d, node), DIRENT_DOT, ".", 1,
		  EXT2_FT_DIR);
	put_entry(buf + DIRENT_DOT, contents_inode(d, info->parent), DIRENT_DOT,
		  "..", 2, EXT2_FT_DIR);
}

/* A child's entry; returns its length. */
static uint32_t put_child(const struct ext2_contents *d, tree_id id, uint8_t *p)
{
	struct tree_info child;
	uint32_t len;

	tree_get(d->tree, id, &child);
	len = dirent_length(child.name_len);
	put_entry(p, contents_inode(d, id), len, child.name, child.name_len,
		  file_type(child.attr.mode));
	return len;
}

/* A directory of one block; lost+found has empty ones behind it. */
static void render_linear(const struct ext2_contents *d, tree_id node,
			  const struct tree_info *info, uint32_t index,
			  uint8_t *buf)
{
	uint32_t last = DIRENT_DOT;
	uint32_t at = 2 * DIRENT_DOT;

	if (index > 0) {
		/* One entry of inode 0. */
		stretch(buf, 0);
		return;
	}
	put_dots(d, node, info, buf);
	for (uint32_t i = 0; i < info->n_children; i++) {
		last = at;
		at += put_child(d, info->first_child + i, buf + at);
	}
	stretch(buf, last);
}

static void render_leaf(const struct ext2_contents *d,
			const struct htree *htree, const struct tree_info *info,
			uint32_t leaf, uint8_t *buf)
{
	uint32_t last = 0;
	uint32_t at = 0;
	uint32_t n;
	const uint32_t *children = htree_children(htree, leaf, &n);

	for (uint32_t i = 0; i < n; i++) {
		last = at;
		at += put_child(d, info->first_child + children[i], buf + at);
	}
	stretch(buf, last);
}

void dir_render(const struct ext2_layout *layout, tree_id node, uint32_t index,
		uint8_t *buf)
{
	const struct ext2_contents *d = layout->contents;
	const struct htree *htree = contents_htree(d, node);
	struct tree_info info;

	memset(buf, 0, EXT2_BLOCK);
	tree_get(d->tree, node, &info);
	if (!htree) {
		render_linear(d, node, &info, index, buf);
	} else if (index >= htree_index_blocks(htree)) {
		render_leaf(d, htree, &info, index - htree_index_blocks(htree),
			    buf);
	} else {
		if (index == 0) {
			put_dots(d, node, &info, buf);
			stretch(buf, DIRENT_DOT);
		}
		htree_render(htree, index, buf);
	}
}
