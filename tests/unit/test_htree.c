/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories as a driver reads them that knows their index: each name is
 * found by its hash, in few blocks, whatever the hash.
 */
#include "support_ext2.h"

#include "ext2/contents_new.h"

static uint64_t seed;

/* A directory of a layout, with what a lookup needs. */
struct opened {
	const struct ext2_layout *layout;
	struct ext2_inode_large inode;
	uint32_t blocks;
	uint32_t reads; /* blocks of it that were read */
};

static struct opened open_dir(const struct ext2_layout *layout,
			      const char *path)
{
	struct opened dir = { .layout = layout };

	read_node(layout, path, &dir.inode);
	dir.blocks = le32toh(dir.inode.i_size) / EXT2_BLOCK;
	return dir;
}

static void read_block(struct opened *dir, uint32_t index, uint8_t *buf)
{
	assert_true(index < dir->blocks);
	render_block(dir->layout, walk_inode(dir->layout, &dir->inode, index),
		     buf);
	dir->reads++;
}

/* ---- what the documentation says of roots and nodes ---- */

/* Count and limit, entries that rise, blocks of the directory. */
static uint32_t check_entries(const struct opened *dir, const uint8_t *at,
			      uint32_t limit)
{
	uint32_t count = get_le16(at + 2);

	assert_int_equal(get_le16(at), limit);
	assert_true(count >= 1 && count <= limit);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t block = get_le32(at + i * 8 + 4);

		assert_true(block > 0 && block < dir->blocks);
		if (i > 1)
			assert_true(get_le32(at + i * 8) >=
				    get_le32(at + i * 8 - 8));
	}
	return count;
}

/* The root's entries; levels below them. */
static const uint8_t *check_root(const struct opened *dir, const uint8_t *buf,
				 uint32_t *ret_levels)
{
	assert_int_equal(get_le16(buf + 4), 12);
	assert_memory_equal(buf + 8, ".\0\0\0", 4);
	assert_int_equal(get_le16(buf + 16), EXT2_BLOCK - 12);
	assert_memory_equal(buf + 20, "..\0\0", 4);
	assert_int_equal(get_le32(buf + 24), 0);
	assert_int_equal(buf[28], EXT2_HASH_HALF_MD4);
	assert_int_equal(buf[29], 8);
	assert_true(buf[30] <= 1);
	assert_int_equal(buf[31], 0);
	*ret_levels = buf[30];
	check_entries(dir, buf + 32, 508);
	return buf + 32;
}

static const uint8_t *check_node(const struct opened *dir, const uint8_t *buf)
{
	assert_int_equal(get_le32(buf), 0);
	assert_int_equal(get_le16(buf + 4), EXT2_BLOCK);
	assert_int_equal(get_le16(buf + 6), 0);
	check_entries(dir, buf + 8, 511);
	return buf + 8;
}

/* ---- lookups, as Linux makes them ---- */

/* The last entry whose hash is not above; the first one has none. */
static uint32_t choose(const uint8_t *at, uint32_t hash)
{
	uint32_t i = 1;

	while (i < get_le16(at + 2) && get_le32(at + i * 8) <= hash)
		i++;
	return i - 1;
}

static bool leaf_has(const uint8_t *buf, const char *name, size_t len)
{
	for (uint32_t at = 0; at < EXT2_BLOCK; at += get_le16(buf + at + 4))
		if (get_le32(buf + at) && buf[at + 6] == len &&
		    memcmp(buf + at + 8, name, len) == 0)
			return true;
	return false;
}

/* A place in an index: entry i of each level. */
struct path {
	uint8_t block[2][EXT2_BLOCK];
	const uint8_t *at[2];
	uint32_t i[2];
	uint32_t levels;
};

static void descend(struct opened *dir, struct path *p, uint32_t level)
{
	uint32_t block = get_le32(p->at[level - 1] + p->i[level - 1] * 8 + 4);

	read_block(dir, block, p->block[level]);
	p->at[level] = check_node(dir, p->block[level]);
}

static void probe(struct opened *dir, uint32_t hash, struct path *p)
{
	read_block(dir, 0, p->block[0]);
	p->at[0] = check_root(dir, p->block[0], &p->levels);
	p->i[0] = choose(p->at[0], hash);
	if (p->levels > 0) {
		descend(dir, p, 1);
		p->i[1] = choose(p->at[1], hash);
	}
}

/* Whether the next leaf goes on with the hash; the path then leads to it. */
static bool goes_on(struct opened *dir, struct path *p, uint32_t hash)
{
	uint32_t level = p->levels;

	while (p->i[level] + 1 == get_le16(p->at[level] + 2))
		if (level-- == 0)
			return false;
	p->i[level]++;
	if (get_le32(p->at[level] + p->i[level] * 8) != (hash | 1))
		return false;
	if (level < p->levels) {
		descend(dir, p, 1);
		p->i[1] = 0;
	}
	return true;
}

static bool look_up(struct opened *dir, const char *name, size_t len)
{
	const struct ext2_contents *d = dir->layout->contents;
	uint32_t hash = d->rules.hash(d->seed, name, len);
	uint8_t leaf[EXT2_BLOCK];
	struct path p;

	dir->reads = 0;
	probe(dir, hash, &p);
	do {
		read_block(dir,
			   get_le32(p.at[p.levels] + p.i[p.levels] * 8 + 4),
			   leaf);
		if (leaf_has(leaf, name, len))
			return true;
	} while (goes_on(dir, &p, hash));
	return false;
}

/* All children are found; returns how many took more than one leaf. */
static uint32_t check_lookups(const struct ext2_layout *layout,
			      const char *path)
{
	struct opened dir = open_dir(layout, path);
	uint32_t further = 0;
	struct tree_info info;

	get_info(layout->contents->tree, path, &info);
	assert_int_equal(le32toh(dir.inode.i_flags), EXT2_INDEX_FL);
	for (uint32_t i = 0; i < info.n_children; i++) {
		struct tree_info child;

		tree_get(layout->contents->tree, info.first_child + i, &child);
		if (!look_up(&dir, child.name, child.name_len))
			fail_msg("child %u of %u is not found", i,
				 info.n_children);
		further += dir.reads > 3;
	}
	assert_false(look_up(&dir, "no such name", 12));
	return further;
}

/* ---- directories of many names ---- */

static struct tree *tree_of_names(uint32_t n, size_t len)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id dir = add_dir(b, 0, "dir");
	char name[256];

	memset(name, 'n', sizeof(name));
	for (uint32_t i = 0; i < n; i++) {
		size_t more = len ? len : 4 + random_below(&seed, 252);

		for (unsigned k = 0; k < 4; k++)
			name[k] = (char)('0' + (i >> k * 6 & 63));
		assert_ok(
			tree_builder_add(b, dir, name, more, &file_attr, NULL));
	}
	return builder_tree(b);
}

static struct ext2_layout *layout_hashed(const struct tree *tree,
					 htree_hash hash)
{
	const struct htree_rules rules = { hash, HTREE_MAX_LEAVES };
	static const uint8_t uuid[16] = { 1 };
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	struct ext2_options options = { .uuid = uuid, .label = "" };
	struct ext2_layout *layout = NULL;

	assert_ok(contents_new_ruled(&contents, tree, hash_seed, &rules, NULL,
				     NULL));
	assert_ok(ext2_contents_size(contents, 0, &options.size, NULL));
	assert_ok(volume_layout(&layout, contents, &options, NULL));
	contents = NULL;
	return layout;
}

static uint32_t lookups(uint32_t n, size_t len, htree_hash hash)
{
	_cleanup_tree_ struct tree *tree = tree_of_names(n, len);
	_cleanup_layout_ struct ext2_layout *layout = layout_hashed(tree, hash);

	return check_lookups(layout, "dir");
}

static void one_level(void **state)
{
	assert_int_equal(lookups(16, 255, htree_half_md4), 0);
	for (int i = 0; i < 20; i++)
		lookups(60 + (uint32_t)random_below(&seed, 3000), 0,
			htree_half_md4);
	lookups(508 * 15, 255, htree_half_md4);
}

static void two_levels(void **state)
{
	lookups(508 * 15 + 1, 255, htree_half_md4);
	lookups(511 * 15 + 1, 255, htree_half_md4);
	lookups(3 * 511 * 15 + 100, 255, htree_half_md4);
}

static uint32_t few_hashes(const uint8_t hashing[16], const char *name,
			   size_t len)
{
	return htree_half_md4(hashing, name, len) & 0xf8000000;
}

static uint32_t one_hash(const uint8_t hashing[16], const char *name,
			 size_t len)
{
	return 0x12345678;
}

/* Hashes that many names have go on over leaves, and over nodes. */
static void equal_hashes(void **state)
{
	assert_true(lookups(3000, 0, few_hashes) > 1000);
	assert_true(lookups(1600, 8, one_hash) > 1000);
	assert_true(lookups(1100 * 15, 255, few_hashes) > 10000);
}

/* The same, told by the index: 15 names to a leaf. */
static void marks_of_equal_hashes(void **state)
{
	_cleanup_tree_ struct tree *tree = tree_of_names(520 * 15, 255);
	_cleanup_layout_ struct ext2_layout *layout = layout_hashed(tree,
								    one_hash);
	struct opened dir = open_dir(layout, "dir");
	uint8_t buf[EXT2_BLOCK];

	read_block(&dir, 0, buf);
	assert_int_equal(buf[30], 1);
	assert_int_equal(get_le16(buf + 34), 2);
	/* The second node, and all leaves but the first. */
	assert_int_equal(get_le32(buf + 40), 0x12345679);
	read_block(&dir, 1, buf);
	assert_int_equal(get_le16(buf + 10), 511);
	for (uint32_t i = 1; i < 511; i++)
		assert_int_equal(get_le32(buf + 8 + i * 8), 0x12345679);
	read_block(&dir, 2, buf);
	assert_int_equal(get_le16(buf + 10), 9);
	assert_int_equal(get_le32(buf + 12), 3 + 511);
}

/* Even, and those of the drivers. */
static void hashes_of_names(void **state)
{
	static const uint8_t none[16];

	for (int i = 0; i < 1000; i++) {
		char name[255];
		size_t len = 1 + random_below(&seed, sizeof(name));

		for (size_t k = 0; k < len; k++)
			name[k] = (char)random_next(&seed);
		assert_int_equal(htree_half_md4(hash_seed, name, len) & 1, 0);
	}
	/* As debugfs's dx_hash says. */
	assert_int_equal(htree_half_md4(none, "hello", 5), 0x1746da32);
	assert_int_equal(htree_half_md4(hash_seed, "hello", 5), 0x8263e0dc);
}

static const struct htree *order_of(const struct ext2_contents *contents)
{
	return contents->htrees.items[0].htree;
}

/* The seed decides what stands where. */
static void seeds(void **state)
{
	static const uint8_t other[16] = { 1 };
	_cleanup_tree_ struct tree *tree = tree_of_names(1000, 20);
	_cleanup_(ext2_contents_freep) struct ext2_contents *a = NULL;
	_cleanup_(ext2_contents_freep) struct ext2_contents *b = NULL;
	_cleanup_(ext2_contents_freep) struct ext2_contents *c = NULL;
	size_t len = 1000 * sizeof(uint32_t);

	assert_ok(ext2_contents_new(&a, tree, hash_seed, NULL, NULL));
	assert_ok(ext2_contents_new(&b, tree, hash_seed, NULL, NULL));
	assert_ok(ext2_contents_new(&c, tree, other, NULL, NULL));
	assert_int_equal(a->htrees.count, 1);
	assert_int_equal(order_of(a)->n_children, 1000);
	assert_memory_equal(order_of(a)->order, order_of(b)->order, len);
	assert_memory_not_equal(order_of(a)->order, order_of(c)->order, len);
}

/* What a layout knows of a directory holds for the next one, with that seed. */
static void shared(void **state)
{
	static const struct htree_rules rules = { htree_half_md4,
						  HTREE_MAX_LEAVES };
	static const uint8_t other[16] = { 1 };
	_cleanup_tree_ struct tree *tree = tree_of_names(1000, 20);
	_cleanup_(ext2_contents_freep) struct ext2_contents *a = NULL;
	_cleanup_(ext2_contents_freep) struct ext2_contents *b = NULL;
	_cleanup_(ext2_contents_freep) struct ext2_contents *c = NULL;

	assert_ok(contents_new_ruled(&a, tree, hash_seed, &rules, NULL, NULL));
	assert_ok(contents_new_ruled(&b, tree, hash_seed, &rules, a, NULL));
	assert_ok(contents_new_ruled(&c, tree, other, &rules, a, NULL));
	assert_ptr_equal(order_of(a), order_of(b));
	assert_ptr_not_equal(order_of(a), order_of(c));
	ext2_contents_free(a);
	a = NULL;
	assert_int_equal(order_of(b)->n_children, 1000);
}

static void more_than_two_levels(void **state)
{
	static const struct htree_rules rules = { htree_half_md4, 20 };
	_cleanup_tree_ struct tree *fits = tree_of_names(20 * 15, 255);
	_cleanup_tree_ struct tree *tree = tree_of_names(20 * 15 + 1, 255);
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(HTREE_MAX_LEAVES, 508 * 511);
	assert_ok(contents_new_ruled(&contents, fits, hash_seed, &rules, NULL,
				     &diag));
	ext2_contents_free(contents);
	contents = NULL;
	assert_int_equal(contents_new_ruled(&contents, tree, hash_seed, &rules,
					    NULL, &diag),
			 -EFBIG);
	assert_string_equal(diag.path, "/dir");
	assert_contains(diag.reason, "index");
}

/* Each of them is told of, and nothing of those that fit. */
static void all_that_are_too_large(void **state)
{
	static const struct htree_rules rules = { htree_half_md4, 1 };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_(heard_clear) struct heard heard;
	_cleanup_diag_ struct diag diag = heard_begin(&heard);
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	_cleanup_tree_ struct tree *tree = NULL;

	for (int d = 0; d < 9; d++) {
		builder_id dir = add_dir(b, 0,
					 (char[]){ (char)('a' + d), '\0' });

		for (int i = 0; i < (d % 2 ? 40 : 10); i++) {
			char name[256];

			snprintf(name, sizeof(name), "%0255d", i);
			add_file(b, dir, name, 0);
		}
	}
	tree = builder_tree(b);
	assert_ok(contents_new_ruled(&contents, tree, hash_seed, &rules, NULL,
				     &diag));
	assert_int_equal(heard.n, 4);
	for (size_t i = 0; i < heard.n; i++) {
		assert_int_equal(heard.lines[i][1], "bdfh"[i]);
		assert_contains(heard.lines[i], "index of a directory");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_of_names),
		cmocka_unit_test(seeds),
		cmocka_unit_test(shared),
		cmocka_unit_test(one_level),
		cmocka_unit_test(two_levels),
		cmocka_unit_test(equal_hashes),
		cmocka_unit_test(marks_of_equal_hashes),
		cmocka_unit_test(more_than_two_levels),
		cmocka_unit_test(all_that_are_too_large),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
