/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How large a file system must be, and that it then takes the tree. */
#include "support_ext2.h"

static uint64_t seed;

static struct tree *tree_of(uint32_t files, uint64_t size)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();

	for (uint32_t i = 0; i < files; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		add_file(b, 0, name, size);
	}
	return builder_tree(b);
}

static uint64_t size_for(const struct tree *tree, uint64_t free)
{
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	uint64_t size;

	assert_ok(ext2_contents_new(&contents, tree, hash_seed, NULL, NULL));
	assert_ok(ext2_contents_size(contents, free, &size, NULL));
	return size;
}

/* A larger partition takes what a smaller one does. */
static void check_fits(const struct tree *tree, uint64_t size, uint64_t free)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_layout_ struct ext2_layout *layout = NULL;

	if (try_layout(tree, size, free, &layout, &diag) < 0)
		fail_msg("%u nodes, %llu bytes free, in %llu: %s",
			 tree_count(tree), (unsigned long long)free,
			 (unsigned long long)size, diag.reason);
	assert_true((uint64_t)layout->free_blocks * EXT2_BLOCK >= free);
	assert_true(layout->free_inodes >= 16);
	assert_true(layout->volume.blocks <= size / EXT2_BLOCK);
}

static void check_sizes(const struct tree *tree, uint64_t free)
{
	uint64_t size = size_for(tree, free);

	check_fits(tree, size, free);
	for (int i = 1; i <= 40; i++)
		check_fits(tree, size + (uint64_t)i * EXT2_BLOCK, free);
	check_fits(tree, round_up(size, MEBI), free);
	check_fits(tree, round_up(size, MEBI) + MEBI, free);
	check_fits(tree, size + random_below(&seed, size), free);
	check_fits(tree, size * 2, free);
}

static void random_trees(void **state)
{
	for (int i = 0; i < 40; i++) {
		uint32_t files = (uint32_t)random_below(
			&seed, 1u << random_below(&seed, 15));
		uint64_t size = random_below(
			&seed, UINT64_C(1) << random_below(&seed, 18));
		_cleanup_tree_ struct tree *tree = tree_of(files, size);

		for (int k = 0; k < 5; k++)
			check_sizes(
				tree,
				random_below(&seed, UINT64_C(1) << random_below(
							    &seed, 36)));
	}
}

/* Where many block groups round the number of inodes up. */
static void much_free_space(void **state)
{
	_cleanup_tree_ struct tree *tree = tree_of(10, 5000);

	for (int i = 0; i < 12; i++)
		check_sizes(tree,
			    (UINT64_C(1) << 36) +
				    random_below(&seed, UINT64_C(1) << 37));
}

/* The tables round up at exactly this size. */
static void one_that_rounds_up(void **state)
{
	const uint64_t free = UINT64_C(160514936605);
	_cleanup_tree_ struct tree *tree = tree_of(10, 5000);

	check_fits(tree, round_up(size_for(tree, free), MEBI), free);
}

/* It is not larger than it must be. */
static void not_too_large(void **state)
{
	static const uint32_t files[] = { 0, 1, 100, 5000 };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_tree_ struct tree *tree = tree_of(files[i], 20000);
		_cleanup_layout_ struct ext2_layout *layout = NULL;
		uint64_t free = random_below(&seed, 100 * MEBI);
		uint64_t size = size_for(tree, free);

		if (size <= 64 * EXT2_BLOCK)
			continue;
		assert_int_equal(
			try_layout(tree, size / 2, free, &layout, NULL),
			-ENOSPC);
		assert_true(size < free + files[i] * UINT64_C(24576) +
					   free / 32 + MEBI);
	}
}

static void too_small(void **state)
{
	_cleanup_tree_ struct tree *tree = tree_of(10, 50000);
	static const uint64_t sizes[] = { 0, 1, 4096, 65536, 262144, 400000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		struct ext2_layout *layout = NULL;

		assert_int_equal(try_layout(tree, sizes[i], 0, &layout, &diag),
				 -ENOSPC);
		assert_contains(diag.reason, "too small");
		assert_null(layout);
	}
}

static void more_than_2_tib(void **state)
{
	_cleanup_tree_ struct tree *tree = tree_of(1, 1);
	static const uint64_t free[] = { UINT64_C(1) << 41, UINT64_MAX,
					 (UINT64_C(1) << 41) - MEBI };
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	uint64_t size;

	assert_ok(ext2_contents_new(&contents, tree, hash_seed, NULL, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(free); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;

		assert_int_equal(
			ext2_contents_size(contents, free[i], &size, &diag),
			-EFBIG);
		assert_contains(diag.reason, "2 TiB");
	}
}

/* ---- what the format cannot hold ---- */

static void assert_refused(struct tree_builder *b, int err, const char *path,
			   const char *reason)
{
	_cleanup_tree_ struct tree *tree = builder_tree(b);
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(contents_error(tree, &diag), err);
	assert_string_equal(diag.path, path);
	assert_contains(diag.reason, reason);
	assert_int_equal(contents_error(tree, NULL), err);
}

static void files_that_are_too_large(void **state)
{
	static const uint64_t sizes[] = { UINT64_C(1) << 41,
					  (UINT64_C(1) << 41) - 1, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();

		add_file(b, add_dir(b, 0, "dir"), "large", sizes[i]);
		assert_refused(b, -EFBIG, "/dir/large", "2 TiB");
	}
}

static void largest_file_with_a_hole(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id id = add_file(b, 0, "large", (UINT64_C(1) << 41) - 1);

	assert_ok(tree_builder_set_extents(b, id, NULL, 0));
	tree = builder_tree(b);
	assert_ok(contents_error(tree, NULL));
}

static void files_that_are_too_much_together(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();

	for (int i = 0; i < 3; i++)
		add_file(b, 0, (char[]){ (char)('a' + i), 0 },
			 UINT64_C(1) << 40);
	assert_refused(b, -EFBIG, "", "2 TiB");
}

static void links_named(struct tree_builder *b, const char *first, int n)
{
	builder_id file = add_file(b, 0, first, 1);

	for (int i = 1; i < n; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "x%d", i);

		assert_ok(tree_builder_add_link(b, 0, name, (size_t)len, file));
	}
}

static void links_of_one_file(struct tree_builder *b, int n)
{
	links_named(b, "file", n);
}

static void too_many_links(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_builder_ struct tree_builder *more = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;

	links_of_one_file(b, 65000);
	tree = builder_tree(b);
	assert_ok(contents_error(tree, NULL));
	links_of_one_file(more, 65001);
	assert_refused(more, -EMLINK, "/file", "65000");
}

static void long_target(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	char target[4096];

	memset(target, 't', sizeof(target));
	assert_ok(tree_builder_add_symlink(b, 0, "link", &link_attr, target,
					   4096, NULL));
	assert_refused(b, -ENAMETOOLONG, "/link", "4095");
}

static void without_lost_and_found(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();

	/* What the builder has goes into a tree: an empty root is left. */
	tree_free(builder_tree(b));
	assert_refused(b, -EINVAL, "lost+found", "missing");
	add_file(b, 0, "lost+found", 1);
	assert_refused(b, -EINVAL, "/lost+found", "rename it");
}

/* A sink gets every problem, in the order of the tree. */
static void all_that_is_too_much(void **state)
{
	static const char *const wrong[] = {
		"/lost+found: is not a directory", "/many: more than 65000",
		"/a/large: a file of 2 TiB",	   "/a/link: a link's target",
		"/b/larger: a file of 2 TiB",
	};
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_(heard_clear) struct heard heard;
	_cleanup_diag_ struct diag diag = heard_begin(&heard);
	_cleanup_(ext2_contents_freep) struct ext2_contents *contents = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	char target[4096];
	builder_id a;
	uint64_t size;

	memset(target, 't', sizeof(target));
	tree_free(builder_tree(b));
	a = add_dir(b, 0, "a");
	add_file(b, a, "large", UINT64_C(1) << 41);
	add_file(b, add_dir(b, 0, "b"), "larger", UINT64_C(3) << 40);
	assert_ok(tree_builder_add_symlink(b, a, "link", &link_attr, target,
					   4096, NULL));
	links_named(b, "many", 65001);
	add_file(b, 0, "lost+found", 1);
	tree = builder_tree(b);
	assert_ok(ext2_contents_new(&contents, tree, hash_seed, NULL, &diag));
	assert_int_equal(heard.n, ARRAY_SIZE(wrong));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_ptr_equal(strstr(heard.lines[i], wrong[i]),
				 heard.lines[i]);
	/* What is left has a size. */
	assert_ok(ext2_contents_size(contents, 0, &size, &diag));
	assert_true(size < 16 * MEBI);
}

/* ---- numbers ---- */

/* Inodes and nodes: a bijection, whatever links there are. */
static void numbers_of_inodes(void **state)
{
	for (int i = 0; i < 50; i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		_cleanup_(ext2_contents_freep) struct ext2_contents *d = NULL;
		uint32_t n = (uint32_t)random_below(&seed, 200);
		builder_id file = add_file(b, 0, "file", 1);
		uint32_t links = 0;

		for (uint32_t k = 0; k < n; k++) {
			char name[16];
			int len = snprintf(
				name, sizeof(name), "%c%u",
				(char)('a' + random_below(&seed, 26)), k);

			if (random_below(&seed, 3)) {
				add_file(b, 0, name, 1);
				continue;
			}
			assert_ok(tree_builder_add_link(b, 0, name, (size_t)len,
							file));
			links++;
		}
		tree = builder_tree(b);
		assert_ok(ext2_contents_new(&d, tree, hash_seed, NULL, NULL));
		assert_int_equal(d->inodes, tree_count(tree) - links);
		assert_int_equal(contents_inode(d, TREE_ROOT), 2);
		assert_int_equal(
			contents_inode(d, must_find(tree, "lost+found")), 11);
		for (uint32_t s = 0; s < d->inodes; s++) {
			tree_id node = contents_node(d, s);

			assert_int_equal(contents_inode_index(d, node), s);
			assert_int_equal(contents_inode(d, node),
					 s == 0 ? 2 : 10 + s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_trees),
		cmocka_unit_test(much_free_space),
		cmocka_unit_test(one_that_rounds_up),
		cmocka_unit_test(not_too_large),
		cmocka_unit_test(too_small),
		cmocka_unit_test(more_than_2_tib),
		cmocka_unit_test(files_that_are_too_large),
		cmocka_unit_test(largest_file_with_a_hole),
		cmocka_unit_test(files_that_are_too_much_together),
		cmocka_unit_test(too_many_links),
		cmocka_unit_test(long_target),
		cmocka_unit_test(without_lost_and_found),
		cmocka_unit_test(all_that_is_too_much),
		cmocka_unit_test(numbers_of_inodes),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
