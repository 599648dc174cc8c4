/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inodes as Linux decodes them: times, owners, devices, links, pointers. */
#include "support_ext2.h"

#include <ext2fs/ext2_fs.h>

static uint64_t seed;

/* One entry below the root, as its inode. */
static void inode_of(const struct tree_attr *attr,
		     struct ext2_inode_large *ret_inode)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;

	assert_ok(tree_builder_add(b, 0, "x", 1, attr, NULL));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	read_node(layout, "x", ret_inode);
}

/* ---- times ---- */

/* As ext4_decode_extra_time does. */
static int64_t decode(uint32_t low, uint32_t extra, uint32_t *ret_ns)
{
	*ret_ns = le32toh(extra) >> 2;
	return (int64_t)(int32_t)le32toh(low) +
	       ((int64_t)(le32toh(extra) & 3) << 32);
}

static void assert_time(int64_t sec, uint32_t ns, int64_t want,
			uint32_t want_ns)
{
	struct tree_attr attr = file_attr;
	struct ext2_inode_large inode;
	uint32_t is_ns;

	attr.mtime = sec;
	attr.mtime_ns = ns;
	inode_of(&attr, &inode);
	assert_int_equal(decode(inode.i_mtime, inode.i_mtime_extra, &is_ns),
			 want);
	assert_int_equal(is_ns, want_ns);
	assert_int_equal(decode(inode.i_atime, inode.i_atime_extra, &is_ns),
			 want);
	assert_int_equal(decode(inode.i_ctime, inode.i_ctime_extra, &is_ns),
			 want);
	assert_int_equal(decode(inode.i_crtime, inode.i_crtime_extra, &is_ns),
			 want);
	assert_int_equal(is_ns, want_ns);
	assert_int_equal(le32toh(inode.i_dtime), 0);
	assert_int_equal(le16toh(inode.i_extra_isize), 32);
}

/* Before 1970, 2038, 2106, and either side of each. */
static void times(void **state)
{
	static const int64_t seconds[] = {
		INT32_MIN,
		INT32_MIN + 1,
		-1000000,
		-1,
		0,
		1,
		INT32_MAX - 1,
		INT32_MAX,
		INT64_C(0x80000000),
		UINT32_MAX,
		INT64_C(0x100000000),
		INT64_C(0x17fffffff),
		INT64_C(0x180000000),
		INT64_C(0x1ffffffff),
		INT64_C(0x200000000),
		INT64_C(0x27fffffff),
	};

	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_time(seconds[i], 0, seconds[i], 0);
		assert_time(seconds[i], 1, seconds[i], 1);
		assert_time(seconds[i], 999999999, seconds[i], 999999999);
	}
	for (int i = 0; i < 200; i++) {
		int64_t sec = INT32_MIN +
			      (int64_t)random_below(&seed, INT64_C(3) << 32);
		uint32_t ns = (uint32_t)random_below(&seed, 1000000000);

		assert_time(sec, ns, sec, ns);
	}
}

/* 1901 and 2310: e2fsck doubts what lies behind. */
static void times_that_are_clamped(void **state)
{
	const int64_t most = INT64_C(0x27fffffff);

	assert_time((int64_t)INT32_MIN - 1, 7, INT32_MIN, 0);
	assert_time(INT64_MIN, 7, INT32_MIN, 0);
	assert_time(most + 1, 7, most, 0);
	assert_time(INT64_C(0x37fffffff), 7, most, 0);
	assert_time(INT64_C(0x380000000), 7, most, 0);
	assert_time(INT64_MAX, 7, most, 0);
}

/* ---- owners, modes, devices ---- */

static void owners_of_32_bits(void **state)
{
	static const uint32_t ids[] = { 0,     1,	   65534,	  65535,
					65536, 0x12345678, UINT32_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct tree_attr attr = file_attr;
		struct ext2_inode_large inode;

		attr.uid = ids[i];
		attr.gid = ids[ARRAY_SIZE(ids) - 1 - i];
		inode_of(&attr, &inode);
		assert_int_equal(le16toh(inode.i_uid) |
					 (uint32_t)le16toh(
						 inode.osd2.linux2.l_i_uid_high)
						 << 16,
				 attr.uid);
		assert_int_equal(le16toh(inode.i_gid) |
					 (uint32_t)le16toh(
						 inode.osd2.linux2.l_i_gid_high)
						 << 16,
				 attr.gid);
	}
}

static void modes(void **state)
{
	static const uint32_t types[] = { S_IFREG, S_IFDIR, S_IFCHR,
					  S_IFBLK, S_IFIFO, S_IFSOCK };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (uint32_t bits = 0; bits <= 07777; bits += 0555) {
			struct tree_attr attr = { .mode = types[i] | bits };
			struct ext2_inode_large inode;

			inode_of(&attr, &inode);
			assert_int_equal(le16toh(inode.i_mode), attr.mode);
			assert_int_equal(le16toh(inode.i_links_count),
					 S_ISDIR(attr.mode) ? 2 : 1);
			assert_int_equal(le32toh(inode.i_flags), 0);
			if (!S_ISDIR(attr.mode))
				assert_int_equal(le32toh(inode.i_blocks), 0);
		}
}

/* As old_decode_dev and new_decode_dev do. */
static void assert_device(uint32_t major, uint32_t minor, bool old)
{
	struct tree_attr attr = { .mode = S_IFBLK | 0600,
				  .major = major,
				  .minor = minor };
	struct ext2_inode_large inode;
	uint32_t small, large;

	inode_of(&attr, &inode);
	small = le32toh(inode.i_block[0]);
	large = le32toh(inode.i_block[1]);
	assert_int_equal(small != 0 || large == 0, old);
	if (old) {
		assert_int_equal(small >> 8 & 255, major);
		assert_int_equal(small & 255, minor);
		assert_int_equal(small >> 16, 0);
		assert_int_equal(large, 0);
	} else {
		assert_int_equal((large & 0xfff00) >> 8, major);
		assert_int_equal((large & 0xff) | (large >> 12 & 0xfff00),
				 minor);
	}
	for (int i = 2; i < 15; i++)
		assert_int_equal(inode.i_block[i], 0);
}

static void devices(void **state)
{
	assert_device(0, 0, true);
	assert_device(1, 3, true);
	assert_device(255, 255, true);
	assert_device(256, 0, false);
	assert_device(0, 256, false);
	assert_device(259, 255, false);
	assert_device(8, 70000, false);
	assert_device(4095, 0xfffff, false);
}

/* ---- symbolic links ---- */

static void check_symlink(uint32_t len)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	struct ext2_inode_large inode;
	uint8_t buf[EXT2_BLOCK] = { 0 };
	uint8_t zeroes[EXT2_BLOCK] = { 0 };
	char target[4096];

	for (uint32_t i = 0; i < len; i++)
		target[i] = (char)('a' + i % 26);
	assert_ok(tree_builder_add_symlink(b, 0, "x", &link_attr, target, len,
					   NULL));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	read_node(layout, "x", &inode);
	assert_int_equal(le32toh(inode.i_size), len);
	assert_int_equal(le32toh(inode.i_blocks), len < 60 ? 0 : 8);
	if (len < 60) {
		memcpy(buf, inode.i_block, 60);
	} else {
		struct region region;

		locate_block(layout, le32toh(inode.i_block[0]), &region);
		assert_int_equal(region.kind, REGION_RENDER);
		assert_int_equal(region.end - region.start, EXT2_BLOCK);
		assert_int_equal(region.node, must_find(tree, "x"));
		render_block(layout, le32toh(inode.i_block[0]), buf);
	}
	assert_memory_equal(buf, target, len);
	/* A driver takes the target for a string. */
	assert_memory_equal(buf + len, zeroes, EXT2_BLOCK - len);
}

static void symbolic_links(void **state)
{
	static const uint32_t lengths[] = { 1,	2,    58,   59,	 60,
					    61, 1000, 4094, 4095 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		check_symlink(lengths[i]);
}

/* ---- blocks ---- */

/* Every block of a file is where the map of the disk says it is. */
static void check_pointers(const struct ext2_layout *layout, const char *path,
			   const struct tree_extent *extents, size_t n)
{
	tree_id node = must_find(layout->contents->tree, path);
	struct ext2_inode_large inode;

	read_node(layout, path, &inode);
	for (int i = 0; i < 400; i++) {
		const struct tree_extent *x = &extents[random_below(&seed, n)];
		uint64_t first = x->start / EXT2_BLOCK;
		uint64_t last = (x->end - 1) / EXT2_BLOCK;
		uint64_t at = i == 0   ? first
			      : i == 1 ? last
				       : first + random_below(&seed,
							      last - first + 1);
		uint32_t block = walk_inode(layout, &inode, at);
		struct region region;

		assert_int_not_equal(block, 0);
		locate_block(layout, block, &region);
		assert_int_equal(region.kind, REGION_FILE);
		assert_int_equal(region.node, node);
		assert_int_equal(region.node_offset +
					 (uint64_t)block * EXT2_BLOCK -
					 region.start,
				 at * EXT2_BLOCK);
	}
}

static void check_file(uint64_t size, const struct tree_extent *extents,
		       size_t n, uint64_t i_blocks)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	const struct tree_extent whole = { 0, size };
	struct ext2_inode_large inode;
	builder_id file;

	add_file(b, 0, "before", 12345);
	file = add_file(b, 0, "file", size);
	add_file(b, 0, "later", 54321);
	if (extents)
		assert_ok(tree_builder_set_extents(b, file, extents, n));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	read_node(layout, "file", &inode);
	assert_int_equal(le32toh(inode.i_size) |
				 (uint64_t)le32toh(inode.i_size_high) << 32,
			 size);
	assert_int_equal(le32toh(inode.i_blocks), i_blocks * 8);
	if (!extents && size > 0)
		check_pointers(layout, "file", &whole, 1);
	if (extents && n > 0)
		check_pointers(layout, "file", extents, n);
}

static void dense_files(void **state)
{
	static const struct {
		uint64_t blocks;
		uint64_t indirect;
	} cases[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 12, 0 },
		{ 13, 1 },
		{ 12 + 1024, 1 },
		{ 12 + 1024 + 1, 3 },
		{ 12 + 2048 + 1, 4 },
		{ 12 + 1024 + 1048576, 1 + 1 + 1024 },
		{ 12 + 1024 + 1048576 + 1, 1 + 1 + 1024 + 3 },
		{ 12 + 1024 + 2 * 1048576 + 1, 1 + 2 + 2048 + 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t size = cases[i].blocks * EXT2_BLOCK;

		check_file(size, NULL, 0, cases[i].blocks + cases[i].indirect);
		if (size > 0)
			check_file(size - 4095, NULL, 0,
				   cases[i].blocks + cases[i].indirect);
	}
}

static void sparse_files(void **state)
{
	const uint64_t b = EXT2_BLOCK;
	const uint64_t end = UINT64_C(1) << 41;
	const struct tree_extent last[] = { { end - b, end - 1 } };
	const struct tree_extent levels[] = {
		{ 5 * b + 100, 5 * b + 200 },
		{ 13 * b, 14 * b },
		{ (12 + 1024) * b, (12 + 1024 + 1) * b },
		{ (12 + 1024 + 1048576) * b, (12 + 1024 + 1048576 + 5) * b },
	};
	/* Parts of blocks that touch are one run of blocks. */
	const struct tree_extent parts[] = {
		{ 0, 100 },	{ 200, 300 },	      { 4000, 5000 },
		{ 8191, 8192 }, { 5 * b, 5 * b + 1 }, { 6 * b - 1, 7 * b },
	};

	check_file(end - 1, last, 1, 1 + 3);
	check_file(end - 1, levels, 4, 8 + 1 + 2 + 3);
	check_file(10 * b, parts, ARRAY_SIZE(parts), 2 + 2);
	check_file(end - 1, last, 0, 0);
	check_file(1, last, 0, 0);
}

/* ---- counts of links ---- */

static void links_of_files_and_directories(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	builder_id dir = add_dir(b, 0, "dir");
	builder_id file = add_file(b, dir, "file", 1);
	struct ext2_inode_large inode;

	for (int i = 0; i < 5; i++) {
		char name = (char)('a' + i);

		add_dir(b, dir, (char[]){ name, 0 });
		assert_ok(tree_builder_add_link(b, 0, &name, 1, file));
	}
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	read_node(layout, "dir", &inode);
	assert_int_equal(le16toh(inode.i_links_count), 7);
	read_node(layout, "dir/file", &inode);
	assert_int_equal(le16toh(inode.i_links_count), 6);
	read_node(layout, "", &inode);
	assert_int_equal(le16toh(inode.i_links_count), 4);
	read_node(layout, "lost+found", &inode);
	assert_int_equal(le16toh(inode.i_links_count), 2);
	assert_int_equal(le32toh(inode.i_blocks), 4 * 8);
}

/* A count of links that does not fit is 1, and a feature tells of it. */
static void more_directories_than_links(void **state)
{
	for (uint32_t much = 0; much < 2; much++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		_cleanup_layout_ struct ext2_layout *layout = NULL;
		struct ext2_inode_large inode;
		builder_id dir = add_dir(b, 0, "dir");
		uint8_t buf[EXT2_BLOCK];

		for (uint32_t i = 0; i < 64998 + much; i++) {
			char name[16];

			snprintf(name, sizeof(name), "%u", i);
			add_dir(b, dir, name);
		}
		tree = builder_tree(b);
		layout = layout_of_tree(tree, 0);
		read_node(layout, "dir", &inode);
		assert_int_equal(le16toh(inode.i_links_count),
				 much ? 1 : 65000);
		render_block(layout, 0, buf);
		assert_int_equal((get_le32(buf + 1024 + 0x64) &
				  EXT4_FEATURE_RO_COMPAT_DIR_NLINK) != 0,
				 much);
	}
}

/* ---- inodes that are no one's ---- */

static void unused_inodes_are_zero(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = builder_tree(b);
	_cleanup_layout_ struct ext2_layout *layout = layout_of_tree(tree, 0);
	static const uint8_t zeroes[sizeof(struct ext2_inode_large)];
	struct ext2_inode_large inode;

	for (uint32_t ino = 1; ino <= 16; ino++) {
		read_inode(layout, ino, &inode);
		if (ino == 2 || ino == 11)
			assert_memory_not_equal(&inode, zeroes, sizeof(inode));
		else
			assert_memory_equal(&inode, zeroes, sizeof(inode));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(times_that_are_clamped),
		cmocka_unit_test(owners_of_32_bits),
		cmocka_unit_test(modes),
		cmocka_unit_test(devices),
		cmocka_unit_test(symbolic_links),
		cmocka_unit_test(dense_files),
		cmocka_unit_test(sparse_files),
		cmocka_unit_test(links_of_files_and_directories),
		cmocka_unit_test(more_directories_than_links),
		cmocka_unit_test(unused_inodes_are_zero),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
