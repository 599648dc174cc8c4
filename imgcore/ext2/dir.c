/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <ext2fs/ext2_fs.h>
#include <string.h>
#include <sys/stat.h>

#include "base/le.h"
#include "ext2/plan.h"

/*
 * Linear directories: "." and "..", then the children in the order of their
 * names, each block as full as it gets, its last entry reaching to its end.
 *
 * Source: the kernel's Documentation/filesystems/ext4/directory.rst.
 */

#define ENTRY_HEADER 8u /* inode, record length, name length, file type */
#define DOTS_LENGTH  24u
static_assert(offsetof(struct ext2_dir_entry_2, name) == ENTRY_HEADER,
	      "a directory entry's header");

static uint32_t entry_length(size_t name_len)
{
	return ENTRY_HEADER + ((uint32_t)name_len + 3) / 4 * 4;
}

uint32_t dir_pack(const struct tree *tree, const struct tree_info *dir,
		  int (*begin)(void *context, uint32_t child), void *context,
		  int *ret_error)
{
	uint32_t blocks = 1;
	uint32_t used = DOTS_LENGTH;

	for (uint32_t i = 0; i < dir->n_children; i++) {
		struct tree_info child;
		uint32_t len;

		tree_get(tree, dir->first_child + i, &child);
		len = entry_length(child.name_len);
		if (used + len > EXT2_BLOCK) {
			int r = begin(context, i);

			if (r < 0) {
				*ret_error = r;
				return 0;
			}
			blocks++;
			used = 0;
		}
		used += len;
	}
	return blocks;
}

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
	memcpy(p + ENTRY_HEADER, name, name_len);
}

/* "." and ".."; returns where the next entry goes. */
static uint32_t put_dots(const struct ext2_demand *d, tree_id node,
			 const struct tree_info *info, uint8_t *buf)
{
	put_entry(buf, demand_inode(d, node), 12, ".", 1, EXT2_FT_DIR);
	put_entry(buf + 12, demand_inode(d, info->parent), 12, "..", 2,
		  EXT2_FT_DIR);
	return DOTS_LENGTH;
}

/* The children [first, end) that stand in a block of a directory. */
static void block_children(const struct ext2_demand *d, tree_id node,
			   const struct tree_info *info, uint32_t index,
			   uint32_t *ret_first, uint32_t *ret_end)
{
	const struct big_dir *big = demand_big_dir(d, node);
	uint32_t blocks = big ? big->blocks : 1;
	const uint32_t *starts = big ? d->dir_starts.items + big->first : NULL;

	*ret_first = index == 0	      ? 0
		     : index < blocks ? starts[index - 1]
				      : info->n_children;
	*ret_end = index + 1 < blocks ? starts[index] : info->n_children;
}

void render_directory(const struct ext2_plan *plan, tree_id node,
		      uint32_t index, uint8_t *buf)
{
	const struct ext2_demand *d = plan->demand;
	struct tree_info info;
	uint32_t last = 0;
	uint32_t at = 0;
	uint32_t first;
	uint32_t end;

	memset(buf, 0, EXT2_BLOCK);
	tree_get(d->tree, node, &info);
	block_children(d, node, &info, index, &first, &end);
	if (index == 0) {
		at = put_dots(d, node, &info, buf);
		last = at - 12;
	}
	for (uint32_t i = first; i < end; i++) {
		tree_id id = info.first_child + i;
		struct tree_info child;

		tree_get(d->tree, id, &child);
		last = at;
		put_entry(buf + at, demand_inode(d, id),
			  entry_length(child.name_len), child.name,
			  child.name_len, file_type(child.attr.mode));
		at += entry_length(child.name_len);
	}
	/* An empty block is one entry of inode 0. */
	put_le16(buf + last + 4, (uint16_t)(EXT2_BLOCK - last));
}
