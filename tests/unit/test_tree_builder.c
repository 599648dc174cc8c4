/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trees made in memory: order, links, and what is refused. */
#include "support.h"

static uint64_t seed;

static void assert_path(const struct tree *tree, tree_id id, const char *path)
{
	_cleanup_free_ char *is = NULL;

	assert_ok(tree_path(tree, id, &is));
	assert_string_equal(is, path);
}

static void root_alone(void **state)
{
	_cleanup_builder_ struct tree_builder *b = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_attr attr = { S_IFDIR | 01751, 7, 8, 9, -10, 0, 0 };
	struct tree_info info;

	assert_ok(tree_builder_new(&b, &attr));
	tree = builder_tree(b);
	assert_int_equal(tree_count(tree), 1);
	assert_int_equal(tree_skipped(tree), 0);
	tree_get(tree, TREE_ROOT, &info);
	assert_memory_equal(&info.attr, &attr, sizeof(attr));
	assert_int_equal(info.name_len, 0);
	assert_int_equal(info.parent, TREE_ROOT);
	assert_int_equal(info.inode, TREE_ROOT);
	assert_int_equal(info.nlink, 1);
	assert_int_equal(info.n_children, 0);
	assert_path(tree, TREE_ROOT, "");
	assert_int_equal(tree_find(tree, ""), TREE_ROOT);
	assert_int_equal(tree_find(tree, "/"), TREE_ROOT);
	assert_int_equal(tree_find(tree, "x"), TREE_NONE);
}

static void bytewise_and_breadth_first(void **state)
{
	static const char *const names[] = { "b", "a",	"\xff", "ab",
					     "A", "a.", "\x01", "a-" };
	static const char *const sorted[] = { "\x01", "A",  "a", "a-",
					      "a.",   "ab", "b", "\xff" };
	_cleanup_builder_ struct tree_builder *b = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_info info;

	assert_ok(tree_builder_new(&b, &dir_attr));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		builder_id dir = add_dir(b, 0, names[i]);

		add_file(b, dir, "y", 1);
		add_file(b, dir, "x", 1);
	}
	tree = builder_tree(b);
	assert_int_equal(tree_count(tree), 1 + 3 * ARRAY_SIZE(names));
	for (tree_id i = 0; i < ARRAY_SIZE(sorted); i++) {
		tree_get(tree, 1 + i, &info);
		assert_int_equal(info.name_len, strlen(sorted[i]));
		assert_memory_equal(info.name, sorted[i], info.name_len);
		assert_int_equal(info.first_child,
				 1 + ARRAY_SIZE(sorted) + 2 * i);
		assert_int_equal(info.n_children, 2);
		assert_int_equal(info.n_subdirs, 0);
	}
	tree_get(tree, TREE_ROOT, &info);
	assert_int_equal(info.n_children, ARRAY_SIZE(sorted));
	assert_int_equal(info.n_subdirs, ARRAY_SIZE(sorted));
	assert_path(tree, must_find(tree, "a-/x"), "a-/x");
	assert_int_equal(tree_find(tree, "/a-//x"), tree_find(tree, "a-/x"));
	assert_int_equal(tree_find(tree, "a-/x/"), tree_find(tree, "a-/x"));
	assert_int_equal(tree_find(tree, "a-/x/x"), TREE_NONE);
	assert_int_equal(tree_find(tree, "a-/"), tree_find(tree, "a-"));
}

static void names_that_none_could_hold(void **state)
{
	_cleanup_builder_ struct tree_builder *b = NULL;
	char longest[257];
	static const struct {
		const char *name;
		size_t len;
	} bad[] = {
		{ "", 0 },    { ".", 1 },    { "..", 2 },
		{ "a/b", 3 }, { "a\0b", 3 }, { "/", 1 },
	};

	assert_ok(tree_builder_new(&b, &dir_attr));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(tree_builder_add(b, 0, bad[i].name, bad[i].len,
						  &file_attr, NULL),
				 -EINVAL);
	memset(longest, 'n', sizeof(longest));
	assert_int_equal(tree_builder_add(b, 0, longest, 256, &file_attr, NULL),
			 -EINVAL);
	assert_ok(tree_builder_add(b, 0, longest, 255, &file_attr, NULL));
	assert_ok(tree_builder_add(b, 0, "...", 3, &file_attr, NULL));
	assert_ok(tree_builder_add(b, 0, ".a", 2, &file_attr, NULL));
	assert_ok(tree_builder_add(b, 0, "\n\\", 2, &file_attr, NULL));
}

static void no_child_of_a_file(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id file = add_file(b, 0, "file", 1);
	builder_id id = 77;

	assert_int_equal(tree_builder_add(b, file, "x", 1, &file_attr, &id),
			 -EINVAL);
	assert_int_equal(tree_builder_mkdirs(b, 0, "file/x", &dir_attr, &id),
			 -ENOTDIR);
	assert_int_equal(tree_builder_mkdirs(b, 0, "file", &dir_attr, &id),
			 -ENOTDIR);
	assert_int_equal(id, 77);
}

static void two_of_one_name(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct tree *tree = NULL;
	builder_id dir = add_dir(b, 0, "dir");

	add_file(b, dir, "twice", 1);
	add_file(b, dir, "once", 1);
	add_dir(b, dir, "twice");
	assert_int_equal(tree_build(b, &tree, &diag), -EEXIST);
	assert_null(tree);
	assert_contains(diag.reason, "twice");
}

static void directories_of_a_path(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	const struct tree_attr attr = { .mode = S_IFREG | 0700, .uid = 5 };
	builder_id a, again, root;
	struct tree_info info;

	assert_ok(tree_builder_mkdirs(b, 0, "a/b/c", &attr, &a));
	assert_ok(tree_builder_mkdirs(b, 0, "/a//b/c/", &dir_attr, &again));
	assert_int_equal(a, again);
	assert_ok(tree_builder_mkdirs(b, 0, "", &dir_attr, &root));
	assert_int_equal(root, 0);
	assert_int_equal(tree_builder_mkdirs(b, 0, "a/../x", &dir_attr, &root),
			 -EINVAL);
	tree = builder_tree(b);
	assert_int_equal(tree_count(tree), 5);
	get_info(tree, "a/b/c", &info);
	assert_int_equal(info.attr.mode, S_IFDIR | 0700);
	assert_int_equal(info.attr.uid, 5);
	get_info(tree, "lost+found", &info);
	assert_true(info.reserved);
}

static void links_are_one_inode(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id deep = add_dir(b, add_dir(b, 0, "a"), "deep");
	builder_id file = add_file(b, deep, "first", 4097);
	builder_id pipe;
	struct tree_attr fifo = { .mode = S_IFIFO | 0600 };
	struct tree_info info, other;

	assert_ok(tree_builder_add_link(b, 0, "z", 1, file));
	assert_ok(tree_builder_add_link(b, deep, "other", 5, file));
	assert_ok(tree_builder_add(b, 0, "pipe", 4, &fifo, &pipe));
	assert_ok(tree_builder_add_link(b, deep, "pipe", 4, pipe));
	tree = builder_tree(b);
	/* The node that comes first stands for the inode. */
	get_info(tree, "a/deep/first", &info);
	get_info(tree, "a/deep/other", &other);
	assert_int_equal(info.inode, must_find(tree, "z"));
	assert_int_equal(other.inode, info.inode);
	assert_int_equal(info.nlink, 3);
	assert_int_equal(info.size, 4097);
	assert_int_equal(other.size, 4097);
	assert_ptr_equal(tree_content(tree, must_find(tree, "a/deep/other")),
			 &zero_content);
	assert_path(tree, must_find(tree, "a/deep/other"), "a/deep/other");
	get_info(tree, "a/deep/pipe", &info);
	assert_int_equal(info.inode, must_find(tree, "pipe"));
	assert_int_equal(info.nlink, 2);
}

static void links_that_are_refused(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id dir = add_dir(b, 0, "dir");
	builder_id file = add_file(b, 0, "file", 1);
	builder_id count;

	assert_int_equal(tree_builder_add_link(b, 0, "x", 1, dir), -EINVAL);
	assert_ok(tree_builder_add_link(b, 0, "x", 1, file));
	assert_ok(tree_builder_mkdirs(b, 0, "last", &dir_attr, &count));
	/* A link to the link, which is the one made before `last`. */
	assert_int_equal(tree_builder_add_link(b, 0, "y", 1, count - 1),
			 -EINVAL);
}

static void links_devices_and_extents(void **state)
{
	static const struct tree_extent extents[] = { { 1, 2 },
						      { 8192, 9000 } };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_attr device = { .mode = S_IFBLK | 0660,
				    .major = 259,
				    .minor = 70000 };
	struct tree_info info;

	assert_ok(tree_builder_add_symlink(b, 0, "link", &file_attr, "a\0b/..",
					   6, NULL));
	assert_ok(tree_builder_add_symlink(b, 0, "empty", &file_attr, "", 0,
					   NULL));
	assert_ok(tree_builder_add(b, 0, "dev", 3, &device, NULL));
	assert_ok(tree_builder_set_extents(b, add_file(b, 0, "sparse", 10000),
					   extents, 2));
	assert_ok(tree_builder_set_extents(b, add_file(b, 0, "hole", 10000),
					   NULL, 0));
	tree = builder_tree(b);
	get_info(tree, "link", &info);
	assert_int_equal(info.attr.mode, S_IFLNK | 0777);
	assert_int_equal(info.size, 6);
	assert_memory_equal(info.target, "a\0b/..", 6);
	get_info(tree, "dev", &info);
	assert_int_equal(info.attr.major, 259);
	assert_int_equal(info.attr.minor, 70000);
	assert_int_equal(info.size, 0);
	get_info(tree, "sparse", &info);
	assert_true(info.sparse);
	assert_int_equal(info.n_extents, 2);
	assert_memory_equal(info.extents, extents, sizeof(extents));
	get_info(tree, "hole", &info);
	assert_true(info.sparse);
	assert_int_equal(info.n_extents, 0);
}

/* A file of holes alone, with nothing else in the tree that has extents. */
static void only_a_hole(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;

	assert_ok(tree_builder_set_extents(b, add_file(b, 0, "hole", 10000),
					   NULL, 0));
	tree = builder_tree(b);
	assert_int_equal(tree_count(tree), 3);
}

static void builder_is_empty_behind_a_tree(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *first = NULL;
	_cleanup_tree_ struct tree *second = NULL;

	add_file(b, 0, "a", 1);
	first = builder_tree(b);
	add_file(b, 0, "b", 1);
	second = builder_tree(b);
	assert_int_equal(tree_count(first), 3);
	assert_int_equal(tree_count(second), 2);
	assert_int_equal(tree_find(second, "a"), TREE_NONE);
	must_find(second, "b");
}

/* ---- random trees ---- */

struct plan {
	struct {
		size_t parent;
		char name[32];
		bool dir;
	} items[400];
	size_t n;
};

static void random_plan(struct plan *p)
{
	p->n = 1 + random_below(&seed, ARRAY_SIZE(p->items) - 1);
	p->items[0].dir = true;
	for (size_t i = 1; i < p->n; i++) {
		size_t parent = random_below(&seed, i);

		while (!p->items[parent].dir)
			parent--;
		p->items[i].parent = parent;
		p->items[i].dir = random_below(&seed, 3) == 0;
		/* Apart in the end, alike and of any length in the beginning */
		snprintf(p->items[i].name, sizeof(p->items[i].name), "%.*s%zu",
			 (int)random_below(&seed, 4), "\xc3+a", i);
	}
}

/* Every file of the plan, its directories first, in a random order. */
static struct tree *random_build(const struct plan *p)
{
	_cleanup_builder_ struct tree_builder *b = NULL;
	builder_id ids[ARRAY_SIZE(p->items)] = { 0 };
	bool done[ARRAY_SIZE(p->items)] = { true };
	size_t left = p->n - 1;

	assert_ok(tree_builder_new(&b, &dir_attr));
	while (left > 0) {
		size_t i = random_below(&seed, p->n);

		if (done[i] || !done[p->items[i].parent])
			continue;
		assert_ok(tree_builder_add(
			b, ids[p->items[i].parent], p->items[i].name,
			strlen(p->items[i].name),
			p->items[i].dir ? &dir_attr : &file_attr, &ids[i]));
		done[i] = true;
		left--;
	}
	return builder_tree(b);
}

static void check_directory(const struct tree *tree, tree_id dir, tree_id *next)
{
	struct tree_info info, child, last = { 0 };
	uint32_t subdirs = 0;

	tree_get(tree, dir, &info);
	if (!S_ISDIR(info.attr.mode))
		return;
	assert_int_equal(info.first_child, *next);
	for (uint32_t i = 0; i < info.n_children; i++, last = child) {
		tree_id id = (*next)++;
		int c;

		tree_get(tree, id, &child);
		assert_int_equal(child.parent, dir);
		assert_int_equal(
			tree_child(tree, dir, child.name, child.name_len), id);
		subdirs += S_ISDIR(child.attr.mode);
		if (i == 0)
			continue;
		c = memcmp(last.name, child.name,
			   min_u64(last.name_len, child.name_len));
		assert_true(c < 0 ||
			    (c == 0 && last.name_len < child.name_len));
	}
	assert_int_equal(info.n_subdirs, subdirs);
}

static void random_trees(void **state)
{
	for (int i = 0; i < 100; i++) {
		static struct plan plan;
		_cleanup_tree_ struct tree *one = NULL;
		_cleanup_tree_ struct tree *two = NULL;
		uint8_t digest_one[16], digest_two[16];
		tree_id next = 1;

		random_plan(&plan);
		one = random_build(&plan);
		two = random_build(&plan);
		assert_int_equal(tree_count(one), plan.n);
		for (tree_id id = 0; id < tree_count(one); id++)
			check_directory(one, id, &next);
		assert_int_equal(next, plan.n);
		/* The order in which entries came never shows. */
		tree_digest(one, digest_one);
		tree_digest(two, digest_two);
		assert_memory_equal(digest_one, digest_two, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_alone),
		cmocka_unit_test(bytewise_and_breadth_first),
		cmocka_unit_test(names_that_none_could_hold),
		cmocka_unit_test(no_child_of_a_file),
		cmocka_unit_test(two_of_one_name),
		cmocka_unit_test(directories_of_a_path),
		cmocka_unit_test(links_are_one_inode),
		cmocka_unit_test(links_that_are_refused),
		cmocka_unit_test(links_devices_and_extents),
		cmocka_unit_test(only_a_hole),
		cmocka_unit_test(builder_is_empty_behind_a_tree),
		cmocka_unit_test(random_trees),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
