/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/inode.h"

#include <assert.h>
#include <endian.h>
#include <ext2fs/ext2_fs.h>
#include <string.h>
#include <sys/stat.h>

#include "base/le.h"
#include "base/math.h"
#include "base/units.h"
#include "ext2/layout.h"

/* Source: the kernel's Documentation/filesystems/ext4/inodes.rst. */

#define SECTORS_PER_BLOCK (EXT2_BLOCK / SECTOR)
#define EXTRA_ISIZE	  (sizeof(struct ext2_inode_large) - 128)
static_assert(sizeof(struct ext2_inode) == 128, "an inode of revision 0");
static_assert(sizeof(struct ext2_inode_large) <= INODE_SIZE, "an inode");

/* What a small part of an inode table needs again and again. */
struct inode_source {
	const struct ext2_layout *layout;
	tree_id node;
	struct tree_info info;
	uint32_t start; /* first ordinal of its blocks */
};

/*
 * Seconds in 34 bits (the low 32 as signed, two more to add) and nanoseconds
 * in 30: years 1901 to 2446, but e2fsck takes those from 2310 on for damaged
 * ones of before 1970. What lies outside is clamped, as Linux does it.
 */
static void put_time(int64_t sec, uint32_t nsec, uint32_t *low, uint32_t *extra)
{
	const int64_t least = INT32_MIN;
	const int64_t most = (INT64_C(3) << 32) + INT32_MIN - INT64_C(1);
	uint64_t epoch;

	if (sec < least || sec > most) {
		sec = sec < least ? least : most;
		nsec = 0;
	}
	epoch = (uint64_t)(sec - (int32_t)(uint32_t)(uint64_t)sec) >> 32;
	*low = htole32((uint32_t)(uint64_t)sec);
	*extra = htole32((uint32_t)(epoch & 3) | nsec << 2);
}

/*
 * One time for all four: when the file was last written. Access and change
 * times tell of the host, and would make a copy of the tree another disk.
 */
static void fill_times(const struct tree_attr *attr,
		       struct ext2_inode_large *di)
{
	uint32_t low;
	uint32_t extra;

	put_time(attr->mtime, attr->mtime_ns, &low, &extra);
	di->i_atime = di->i_ctime = di->i_mtime = di->i_crtime = low;
	di->i_atime_extra = di->i_ctime_extra = extra;
	di->i_mtime_extra = di->i_crtime_extra = extra;
	di->i_extra_isize = htole16(EXTRA_ISIZE);
}

static void fill_attr(const struct tree_attr *attr, struct ext2_inode_large *di)
{
	di->i_mode = htole16((uint16_t)attr->mode);
	di->i_uid = htole16((uint16_t)attr->uid);
	di->osd2.linux2.l_i_uid_high = htole16((uint16_t)(attr->uid >> 16));
	di->i_gid = htole16((uint16_t)attr->gid);
	di->osd2.linux2.l_i_gid_high = htole16((uint16_t)(attr->gid >> 16));
	fill_times(attr, di);
}

/* The block of the inode's block of that number; 0 for a hole. */
static uint32_t pointer(const struct inode_source *src, uint32_t number)
{
	if (number == BLOCKMAP_NONE)
		return 0;
	return geometry_block(&src->layout->geometry, src->start + number);
}

static void fill_blocks(const struct inode_source *src,
			struct ext2_inode_large *di)
{
	struct block_run dense;
	struct blockmap map;

	contents_blockmap(src->layout->contents, src->node, &src->info, &dense,
			  &map);
	di->i_blocks =
		htole32((uint32_t)(blockmap_total(&map) * SECTORS_PER_BLOCK));
	for (unsigned i = 0; i < BLOCKMAP_DIRECT; i++)
		di->i_block[i] =
			htole32(pointer(src, blockmap_find(&map, 0, i)));
	for (unsigned level = 1; level < BLOCKMAP_LEVELS; level++)
		di->i_block[BLOCKMAP_DIRECT + level - 1] =
			htole32(pointer(src, blockmap_find(&map, level, 0)));
}

static void fill_regular(const struct inode_source *src,
			 struct ext2_inode_large *di)
{
	di->i_size = htole32((uint32_t)src->info.size);
	di->i_size_high = htole32((uint32_t)(src->info.size >> 32));
	fill_blocks(src, di);
}

static void fill_directory(const struct inode_source *src,
			   struct ext2_inode_large *di)
{
	uint32_t blocks = contents_dir_blocks(src->layout->contents, src->node,
					      &src->info);
	uint32_t links = src->info.n_subdirs + 2;

	di->i_size = htole32(blocks * EXT2_BLOCK);
	if (contents_htree(src->layout->contents, src->node))
		di->i_flags = htole32(EXT2_INDEX_FL);
	/* dir_nlink: a count that does not fit is 1, "not known". */
	di->i_links_count = htole16(links > EXT2_LINK_MAX ? 1
							  : (uint16_t)links);
	fill_blocks(src, di);
}

static void fill_symlink(const struct inode_source *src,
			 struct ext2_inode_large *di)
{
	di->i_size = htole32((uint32_t)src->info.size);
	if (src->info.size < sizeof(di->i_block)) {
		memcpy(di->i_block, src->info.target, src->info.size);
		return;
	}
	di->i_blocks = htole32(SECTORS_PER_BLOCK);
	di->i_block[0] = htole32(pointer(src, 0));
}

/* Small numbers in the old form, others in the new one, as Linux does. */
static void fill_device(const struct tree_attr *attr,
			struct ext2_inode_large *di)
{
	uint32_t major = attr->major;
	uint32_t minor = attr->minor;

	if (major < 256 && minor < 256)
		di->i_block[0] = htole32(major << 8 | minor);
	else
		di->i_block[1] = htole32((minor & 0xff) | major << 8 |
					 (minor & ~0xffu) << 12);
}

static void fill_inode(const struct inode_source *src,
		       struct ext2_inode_large *di)
{
	uint32_t mode = src->info.attr.mode;

	fill_attr(&src->info.attr, di);
	di->i_links_count = htole16((uint16_t)src->info.nlink);
	if (S_ISREG(mode))
		fill_regular(src, di);
	else if (S_ISDIR(mode))
		fill_directory(src, di);
	else if (S_ISLNK(mode))
		fill_symlink(src, di);
	else if (S_ISCHR(mode) || S_ISBLK(mode))
		fill_device(&src->info.attr, di);
}

/* A shared block counts with each inode that it belongs to. */
static void fill_xattrs(const struct ext2_layout *layout, uint32_t inode_index,
			struct ext2_inode_large *di)
{
	uint32_t ordinal;

	if (!contents_xattr_ordinal(layout->contents, inode_index, &ordinal))
		return;
	di->i_file_acl = htole32(geometry_block(&layout->geometry, ordinal));
	di->i_blocks = htole32(le32toh(di->i_blocks) + SECTORS_PER_BLOCK);
}

static void render_inode(const struct ext2_layout *layout, uint32_t inode_index,
			 uint8_t *buf)
{
	struct inode_source src = {
		.layout = layout,
		.node = contents_node(layout->contents, inode_index),
		.start = layout->contents->first_block[inode_index],
	};
	struct ext2_inode_large di = { 0 };

	tree_get(layout->contents->tree, src.node, &src.info);
	fill_inode(&src, &di);
	fill_xattrs(layout, inode_index, &di);
	memcpy(buf, &di, sizeof(di));
}

void inode_render_table(const struct ext2_layout *layout, uint32_t index,
			uint8_t *buf)
{
	uint32_t first = index * INODES_PER_BLOCK + 1;

	memset(buf, 0, EXT2_BLOCK);
	for (uint32_t i = 0; i < INODES_PER_BLOCK; i++) {
		uint32_t ino = first + i;
		uint8_t *at = buf + i * INODE_SIZE;

		if (ino == EXT2_ROOT_INO)
			render_inode(layout, 0, at);
		else if (ino >= EXT2_GOOD_OLD_FIRST_INO &&
			 ino <= layout_last_inode(layout))
			render_inode(layout, ino + 1 - EXT2_GOOD_OLD_FIRST_INO,
				     at);
	}
}

void inode_render_symlink(const struct ext2_layout *layout, tree_id node,
			  uint8_t *buf)
{
	struct tree_info info;

	tree_get(layout->contents->tree, node, &info);
	memset(buf, 0, EXT2_BLOCK);
	memcpy(buf, info.target, info.size);
}

void inode_render_indirect(const struct ext2_layout *layout, tree_id node,
			   uint32_t number, uint8_t *buf)
{
	const struct ext2_contents *d = layout->contents;
	struct inode_source src = { .layout = layout, .node = node };
	struct block_run dense;
	struct blockmap map;
	unsigned level;
	uint32_t x;

	tree_get(d->tree, node, &src.info);
	src.start = d->first_block[contents_inode_index(d, node)];
	contents_blockmap(d, node, &src.info, &dense, &map);
	blockmap_node(&map, number, &level, &x);
	for (uint32_t i = 0; i < BLOCKMAP_FANOUT; i++) {
		uint32_t child = blockmap_child(level, x, i);

		put_le32(buf + i * 4,
			 pointer(&src, blockmap_find(&map, level - 1, child)));
	}
}
