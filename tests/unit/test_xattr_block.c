/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks of extended attributes: bytes, hashes, sharing, limits. */
#include "support_ext2.h"

#include <ext2fs/ext2fs.h>

static uint64_t seed;

static uint32_t acl_block(const struct ext2_layout *layout, const char *path)
{
	struct ext2_inode_large inode;

	read_node(layout, path, &inode);
	return le32toh(inode.i_file_acl);
}

/* A file "x" with one attribute, in a layout of its own; its block. */
static void block_of(const char *name, const void *value, size_t len,
		     uint8_t block[EXT2_BLOCK])
{
	const struct tree_host_xattr x = { name, value, len };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;

	assert_ok(tree_builder_set_xattrs(b, add_file(b, 0, "x", 0), &x, 1));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	render_block(layout, acl_block(layout, "x"), block);
}

static void known_bytes(void **state)
{
	static const uint8_t head[] = {
		0, 0, 2, 0xea, 1, 0,
		0, 0, 1, 0,    0, 0, /* magic, users, blocks */
	};
	static const uint8_t entry[] = {
		5, 1, 0, 0, 0, 0, 0, 0, /* name's length, index */
		5, 0, 0, 0, /* value's length */
	};
	static const uint8_t zero[4096];
	uint8_t block[EXT2_BLOCK];

	block_of("user.hello", "world", 5, block);
	assert_memory_equal(block, head, sizeof(head));
	assert_memory_equal(block + 16, zero, 16);
	assert_memory_equal(block + 32, entry, 2);
	assert_int_equal(get_le16(block + 34), 4088);
	assert_memory_equal(block + 36, entry + 4, 8);
	assert_memory_equal(block + 48, "hello\0\0\0", 8);
	assert_memory_equal(block + 56, zero, 4088 - 56);
	assert_memory_equal(block + 4088, "world\0\0\0", 8);
}

/* libext2fs's own arithmetic on the entries; both hold on any byte order. */
static void assert_hashes(uint8_t block[EXT2_BLOCK])
{
	struct ext2_ext_attr_header *header = (void *)block;
	struct ext2_ext_attr_header again;
	struct ext2_ext_attr_entry *entry = (void *)(header + 1);

#ifdef WORDS_BIGENDIAN
	ext2fs_swap_ext_attr((char *)block, (char *)block, EXT2_BLOCK, 1);
#endif
	for (; !EXT2_EXT_IS_LAST_ENTRY(entry);
	     entry = EXT2_EXT_ATTR_NEXT(entry))
		assert_int_equal(entry->e_hash,
				 ext2fs_ext_attr_hash_entry(
					 entry, block + entry->e_value_offs));
	again = *header;
	ext2fs_ext_attr_block_rehash(header, entry);
	assert_int_equal(header->h_hash, again.h_hash);
}

static void hashes(void **state)
{
	uint64_t dice = seed;
	uint8_t block[EXT2_BLOCK] __attribute__((aligned(8)));

	for (int trial = 0; trial < 200; trial++) {
		char names[8][40];
		uint8_t value[8][300];
		struct tree_host_xattr x[8];
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		_cleanup_layout_ struct ext2_layout *layout = NULL;
		size_t n = 1 + random_below(&dice, 8);

		for (size_t i = 0; i < n; i++) {
			size_t len = random_below(&dice, 20);
			char *p = names[i] + sprintf(names[i], "user.%zu", i);

			while (len-- > 0)
				*p++ = (char)(1 + random_below(&dice, 255));
			*p = '\0';
			x[i].name = names[i];
			x[i].value = value[i];
			x[i].value_len = random_below(&dice, 300);
			for (size_t j = 0; j < x[i].value_len; j++)
				value[i][j] = (uint8_t)random_next(&dice);
		}
		assert_ok(tree_builder_set_xattrs(b, add_file(b, 0, "x", 0), x,
						  n));
		tree = builder_tree(b);
		layout = layout_of_tree(tree, 0);
		render_block(layout, acl_block(layout, "x"), block);
		assert_hashes(block);
	}
}

/* ---- sharing ---- */

/* A directory of n files that all have one set, and one with another. */
static struct tree *crowd(unsigned n)
{
	static const struct tree_host_xattr x = { "user.x", "crowd", 5 };
	static const struct tree_host_xattr y = { "user.y", "single", 6 };
	_cleanup_builder_ struct tree_builder *b = builder_new();

	for (unsigned i = 0; i < n; i++) {
		char name[20];

		snprintf(name, sizeof(name), "f%05u", i);
		assert_ok(tree_builder_set_xattrs(b, add_file(b, 0, name, 0),
						  &x, 1));
		if (i == n / 2)
			assert_ok(tree_builder_set_xattrs(
				b, add_file(b, 0, "g", 0), &y, 1));
	}
	return builder_tree(b);
}

/* Each block's count is that of the inodes that lead to it. */
static void assert_shared(unsigned n, unsigned blocks)
{
	_cleanup_tree_ struct tree *tree = crowd(n);
	_cleanup_layout_ struct ext2_layout *layout = layout_of_tree(tree, 0);
	uint32_t first = acl_block(layout, "f00000");
	uint32_t last_used = 0;
	uint32_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		uint8_t block[EXT2_BLOCK];
		struct region region;
		uint32_t users;
		char name[20];

		snprintf(name, sizeof(name), "f%05u", i);
		assert_int_equal(acl_block(layout, name), first + i / 1024);
		if (i % 1024)
			continue;
		locate_block(layout, first + i / 1024, &region);
		assert_int_equal(region.kind, REGION_RENDER);
		assert_string_equal(region.what, "extended attributes");
		assert_int_equal(region.start, (uint64_t)first * EXT2_BLOCK);
		assert_int_equal(region.end - region.start,
				 (uint64_t)(blocks + 1) * EXT2_BLOCK);
		render_block(layout, first + i / 1024, block);
		users = get_le32(block + 4);
		assert_int_equal(users, min_u64(1024, n - i));
		total += users;
		last_used = first + i / 1024;
	}
	assert_int_equal(total, n);
	assert_int_equal(last_used, first + blocks - 1);
	assert_int_equal(acl_block(layout, "g"), first + blocks);
	assert_int_equal(
		layout->free_blocks,
		layout->geometry.usable -
			(contents_owned(layout->contents) + blocks + 1));
}

static void up_to_1024_share(void **state)
{
	assert_shared(1, 1);
	assert_shared(1024, 1);
	assert_shared(1025, 2);
	assert_shared(3500, 4);
}

/* A block of attributes is one of the inode's, and makes no link a slow one. */
static void every_kind_of_inode(void **state)
{
	static const struct tree_host_xattr x = { "trusted.x", "", 0 };
	static const struct tree_attr fifo = { .mode = S_IFIFO | 0600 };
	static const uint16_t sectors[] = { 8 + 8, 8 + 8, 8, 8 + 8, 8 };
	static const char *const names[] = { "dir", "file", "short", "long",
					     "fifo" };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	struct ext2_inode_large inode;
	char target[100];
	builder_id id;

	memset(target, 't', sizeof(target));
	id = add_dir(b, 0, "dir");
	assert_ok(tree_builder_set_xattrs(b, id, &x, 1));
	id = add_file(b, 0, "file", 4096);
	assert_ok(tree_builder_set_xattrs(b, id, &x, 1));
	assert_ok(tree_builder_add_symlink(b, 0, "short", &link_attr, target,
					   59, &id));
	assert_ok(tree_builder_set_xattrs(b, id, &x, 1));
	assert_ok(tree_builder_add_symlink(b, 0, "long", &link_attr, target,
					   sizeof(target), &id));
	assert_ok(tree_builder_set_xattrs(b, id, &x, 1));
	assert_ok(tree_builder_add(b, 0, "fifo", 4, &fifo, &id));
	assert_ok(tree_builder_set_xattrs(b, id, &x, 1));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		read_node(layout, names[i], &inode);
		assert_int_equal(le32toh(inode.i_blocks), sectors[i]);
		assert_int_equal(le32toh(inode.i_file_acl),
				 acl_block(layout, "dir"));
	}
	read_node(layout, "short", &inode);
	assert_memory_equal(inode.i_block, target, 59);
	read_node(layout, "", &inode);
	assert_int_equal(inode.i_file_acl, 0);
}

/* ---- limits ---- */

static int error_of(size_t len, struct diag *diag)
{
	static const uint8_t value[8192];
	const struct tree_host_xattr x[] = { { "user.large", value, len },
					     { "user.y", "", 0 } };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id dir = add_dir(b, 0, "dir");

	assert_ok(
		tree_builder_set_xattrs(b, add_file(b, dir, "file", 0), x, 2));
	tree = builder_tree(b);
	return contents_error(tree, diag);
}

static void one_block_and_no_more(void **state)
{
	/* Header, two entries with their names, the end mark. */
	const size_t room = 4096 - 32 - (16 + 8) - (16 + 4) - 4;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_ok(error_of(room, NULL));
	assert_int_equal(error_of(room + 1, &diag), -E2BIG);
	assert_contains(diag.path, "dir/file");
	assert_contains(diag.reason, "4096 bytes");
	assert_int_equal(error_of(8192, NULL), -E2BIG);
}

/* What fits exactly stands whole in its block. */
static void full_block(void **state)
{
	uint8_t value[4096 - 32 - 20 - 4];
	uint8_t block[EXT2_BLOCK];

	memset(value, 0xa5, sizeof(value));
	block_of("user.v", value, sizeof(value), block);
	assert_int_equal(get_le16(block + 34), EXT2_BLOCK - sizeof(value));
	assert_int_equal(get_le32(block + 52), 0);
	assert_memory_equal(block + EXT2_BLOCK - sizeof(value), value,
			    sizeof(value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_bytes),
		cmocka_unit_test(hashes),
		cmocka_unit_test(up_to_1024_share),
		cmocka_unit_test(every_kind_of_inode),
		cmocka_unit_test(one_block_and_no_more),
		cmocka_unit_test(full_block),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
