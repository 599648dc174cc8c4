/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories as a driver reads them that knows of no index: entries chained
 * to the end of each block, none across two, all children once.
 */
#include "support_ext2.h"

static uint64_t seed;

/* What one read of a directory gives. */
struct listing {
	uint32_t blocks;
	uint32_t found; /* children */
	uint32_t empty_blocks;
	bool *seen; /* which children */
};

static uint8_t type_of(uint32_t mode)
{
	return S_ISREG(mode)	? 1
	       : S_ISDIR(mode)	? 2
	       : S_ISCHR(mode)	? 3
	       : S_ISBLK(mode)	? 4
	       : S_ISFIFO(mode) ? 5
	       : S_ISSOCK(mode) ? 6
				: 7;
}

static void check_child(const struct ext2_layout *layout, tree_id node,
			const struct tree_info *dir, struct listing *l,
			const uint8_t *entry)
{
	tree_id id = tree_child(layout->contents->tree, node,
				(const char *)entry + 8, entry[6]);
	struct tree_info child;

	assert_int_not_equal(id, TREE_NONE);
	assert_false(l->seen[id - dir->first_child]);
	l->seen[id - dir->first_child] = true;
	/* A block alone is in the order of names. */
	if (!contents_htree(layout->contents, node))
		assert_int_equal(id, dir->first_child + l->found);
	l->found++;
	tree_get(layout->contents->tree, id, &child);
	assert_int_equal(get_le32(entry), contents_inode(layout->contents, id));
	assert_int_equal(entry[6], child.name_len);
	assert_int_equal(entry[7], type_of(child.attr.mode));
	assert_memory_equal(entry + 8, child.name, child.name_len);
}

static void check_dots(const struct ext2_layout *layout, tree_id node,
		       const struct tree_info *dir, const uint8_t *block)
{
	assert_int_equal(get_le32(block),
			 contents_inode(layout->contents, node));
	assert_int_equal(get_le16(block + 4), 12);
	assert_int_equal(get_le16(block + 6), 0x0201);
	assert_memory_equal(block + 8, ".\0\0\0", 4);
	assert_int_equal(get_le32(block + 12),
			 contents_inode(layout->contents, dir->parent));
	assert_int_equal(get_le16(block + 18), 0x0202);
	assert_memory_equal(block + 20, "..\0\0", 4);
}

static void check_block(const struct ext2_layout *layout, tree_id node,
			const struct tree_info *dir, struct listing *l,
			const uint8_t *block)
{
	uint32_t at = 0;
	bool empty = get_le32(block) == 0;

	if (l->blocks == 0) {
		check_dots(layout, node, dir, block);
		at = 12 + get_le16(block + 16);
	} else if (empty) {
		assert_int_equal(get_le16(block + 4), EXT2_BLOCK);
		l->empty_blocks++;
	}
	while (at < EXT2_BLOCK && !empty) {
		uint32_t len = get_le16(block + at + 4);
		uint32_t need = 8 + (block[at + 6] + 3u) / 4 * 4;

		assert_int_equal(len % 4, 0);
		assert_true(len >= need && at + len <= EXT2_BLOCK);
		/* Only the last has room behind it. */
		assert_true(len == need || at + len == EXT2_BLOCK);
		check_child(layout, node, dir, l, block + at);
		at += len;
	}
	l->blocks++;
}

/* Reads a directory as a driver does, through its inode. */
static struct listing check_directory(const struct ext2_layout *layout,
				      tree_id node)
{
	struct ext2_inode_large inode;
	struct listing l = { 0 };
	struct tree_info dir;
	uint32_t size;

	tree_get(layout->contents->tree, node, &dir);
	read_inode(layout, contents_inode(layout->contents, node), &inode);
	size = le32toh(inode.i_size);
	assert_int_equal(size % EXT2_BLOCK, 0);
	assert_int_equal(le32toh(inode.i_flags) & EXT2_INDEX_FL,
			 contents_htree(layout->contents, node) ? EXT2_INDEX_FL
								: 0);
	l.seen = calloc(dir.n_children + 1, sizeof(*l.seen));
	assert_non_null(l.seen);
	while (l.blocks < size / EXT2_BLOCK) {
		uint32_t block = walk_inode(layout, &inode, l.blocks);
		uint8_t buf[EXT2_BLOCK];
		struct region region;

		assert_int_not_equal(block, 0);
		locate_block(layout, block, &region);
		assert_int_equal(region.kind, REGION_RENDER);
		assert_int_equal(region.node, node);
		render_block(layout, block, buf);
		check_block(layout, node, &dir, &l, buf);
	}
	assert_int_equal(l.found, dir.n_children);
	free(l.seen);
	l.seen = NULL;
	return l;
}

static void check_all(const struct ext2_layout *layout)
{
	for (tree_id id = 0; id < tree_count(layout->contents->tree); id++) {
		struct tree_info info;

		tree_get(layout->contents->tree, id, &info);
		if (S_ISDIR(info.attr.mode))
			check_directory(layout, id);
	}
}

/* A name of a length that is told from others by its beginning. */
static void add_named(struct tree_builder *b, builder_id dir, uint32_t number,
		      size_t len)
{
	char name[256];

	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < 4 && i < len; i++, number /= 64)
		name[i] = (char)('0' + number % 64);
	assert_ok(tree_builder_add(b, dir, name, len, &file_attr, NULL));
}

static struct listing list_named(const size_t *lengths, size_t n)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	builder_id dir = add_dir(b, 0, "dir");

	for (size_t i = 0; i < n; i++)
		add_named(b, dir, (uint32_t)i, lengths[i]);
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	return check_directory(layout, must_find(tree, "dir"));
}

static void empty_directory(void **state)
{
	assert_int_equal(list_named(NULL, 0).blocks, 1);
}

/* "." and ".." take 24 bytes, a name of 255 bytes takes 264. */
static void block_that_is_exactly_full(void **state)
{
	size_t lengths[18];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		lengths[i] = 255;
	/* 24 + 15 * 264 + 112 = 4096 */
	lengths[15] = 104;
	assert_int_equal(list_named(lengths, 16).blocks, 1);
	/* An index and a leaf. */
	lengths[15] = 105;
	assert_int_equal(list_named(lengths, 16).blocks, 2);
	lengths[15] = 104;
	lengths[16] = 4;
	assert_int_equal(list_named(lengths, 17).blocks, 2);
}

/* A leaf has no dots: 15 * 264 + 136 = 4096. */
static void leaf_that_is_exactly_full(void **state)
{
	size_t lengths[16];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		lengths[i] = 255;
	lengths[15] = 128;
	assert_int_equal(list_named(lengths, 16).blocks, 2);
	lengths[15] = 129;
	assert_int_equal(list_named(lengths, 16).blocks, 3);
}

static void names_of_every_length(void **state)
{
	size_t lengths[510];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		lengths[i] = 4 + i % 252;
	list_named(lengths, ARRAY_SIZE(lengths));
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		lengths[i] = 255;
	/* 15 to a leaf */
	assert_int_equal(list_named(lengths, 510).blocks, 1 + 34);
}

static void random_directories(void **state)
{
	for (int i = 0; i < 60; i++) {
		size_t n = random_below(&seed, 3000);
		_cleanup_free_ size_t *lengths = calloc(n + 1, sizeof(size_t));
		size_t most = 4 + random_below(&seed, 252);

		for (size_t k = 0; k < n; k++)
			lengths[k] = 4 + random_below(&seed, most - 3);
		/* At most 192 leaves: no nodes. */
		assert_int_equal(list_named(lengths, n).empty_blocks, 0);
	}
}

/*
 * Leaves of 15 names: past twelve blocks and past 1036, with indirect ones;
 * what one root names, and one more; what two nodes name, and one more.
 */
static void large_directories(void **state)
{
	static const struct {
		uint32_t leaves;
		uint32_t nodes;
	} cases[] = { { 13, 0 },  { 508, 0 },  { 509, 1 }, { 511, 1 },
		      { 512, 2 }, { 1022, 2 }, { 1023, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t n = cases[i].leaves * 15;
		_cleanup_free_ size_t *lengths = calloc(n, sizeof(size_t));
		struct listing l;

		for (uint32_t k = 0; k < n; k++)
			lengths[k] = 255;
		l = list_named(lengths, n);
		assert_int_equal(l.blocks,
				 1 + cases[i].nodes + cases[i].leaves);
		assert_int_equal(l.empty_blocks, cases[i].nodes);
	}
}

static void lost_and_found_has_room(void **state)
{
	static const uint32_t counts[] = { 0, 15, 16, 60, 61, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		_cleanup_layout_ struct ext2_layout *layout = NULL;
		uint32_t leaves = (uint32_t)div_up(counts[i], 15);
		struct listing l;

		/* It was made first, so its id is 1. */
		for (uint32_t k = 0; k < counts[i]; k++)
			add_named(b, 1, k, 255);
		tree = builder_tree(b);
		layout = layout_of_tree(tree, 0);
		l = check_directory(layout, must_find(tree, "lost+found"));
		/* With an index there are no blocks that it does not name. */
		assert_int_equal(l.blocks, leaves < 2 ? 4 : 1 + leaves);
		assert_int_equal(l.empty_blocks, leaves < 2 ? 3 : 0);
	}
}

static void kinds_links_and_parents(void **state)
{
	static const uint32_t modes[] = { S_IFREG, S_IFDIR, S_IFCHR,
					  S_IFBLK, S_IFIFO, S_IFSOCK };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;
	builder_id deep = add_dir(b, add_dir(b, 0, "a"), "deep");
	builder_id file = add_file(b, deep, "file", 5000);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct tree_attr attr = { .mode = modes[i] | 0600 };
		char name = (char)('0' + i);

		assert_ok(tree_builder_add(b, deep, &name, 1, &attr, NULL));
	}
	assert_ok(tree_builder_add_symlink(b, deep, "s", &link_attr, "x", 1,
					   NULL));
	assert_ok(tree_builder_add_link(b, 0, "link", 4, file));
	assert_ok(tree_builder_add_link(b, deep, "link", 4, file));
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	check_all(layout);
	assert_int_equal(
		contents_inode(layout->contents, must_find(tree, "link")),
		contents_inode(layout->contents,
			       must_find(tree, "a/deep/file")));
}

/* Many directories, large and small, in one layout: none takes another's. */
static void many_directories(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_layout_ struct ext2_layout *layout = NULL;

	for (uint32_t i = 0; i < 300; i++) {
		size_t n = random_below(&seed, 4) ? random_below(&seed, 10)
						  : random_below(&seed, 300);
		builder_id dir;
		char name[8];

		snprintf(name, sizeof(name), "d%u", i);
		dir = add_dir(b, 0, name);
		for (uint32_t k = 0; k < n; k++)
			add_named(b, dir, k, 4 + random_below(&seed, 252));
	}
	for (uint32_t k = 0; k < 200; k++)
		add_named(b, 1, k, 255);
	tree = builder_tree(b);
	layout = layout_of_tree(tree, 0);
	check_all(layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_directory),
		cmocka_unit_test(block_that_is_exactly_full),
		cmocka_unit_test(leaf_that_is_exactly_full),
		cmocka_unit_test(names_of_every_length),
		cmocka_unit_test(random_directories),
		cmocka_unit_test(large_directories),
		cmocka_unit_test(lost_and_found_has_room),
		cmocka_unit_test(kinds_links_and_parents),
		cmocka_unit_test(many_directories),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
