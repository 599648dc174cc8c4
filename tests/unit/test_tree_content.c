/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contents of files that come from us. */
#include "support.h"

struct counted {
	struct content content;
	int *released;
};

static void counted_release(struct content *content)
{
	++*((struct counted *)content)->released;
	free(content);
}

static struct content *counted_new(int *released)
{
	struct counted *c = calloc(1, sizeof(*c));

	*c = (struct counted){ { zero_pread, counted_release }, released };
	return &c->content;
}

static void contents_are_released_once(void **state)
{
	struct tree_builder *b = builder_new();
	struct tree *tree = NULL;
	int released = 0;
	builder_id id;

	id = add_content(b, 0, "a", counted_new(&released), 9);
	assert_ok(tree_builder_add_link(b, 0, "b", 1, id));
	tree = builder_tree(b);
	tree_builder_free(b);
	assert_int_equal(released, 0);
	tree_free(tree);
	assert_int_equal(released, 1);
	tree_free(NULL);
	tree_builder_free(NULL);
}

static void contents_of_a_builder_that_made_nothing(void **state)
{
	struct tree_builder *b = builder_new();
	struct tree *tree = NULL;
	int released = 0;

	for (int i = 0; i < 2; i++)
		add_content(b, 0, "same", counted_new(&released), 9);
	assert_int_equal(tree_build(b, &tree, NULL), -EEXIST);
	tree_builder_free(b);
	assert_int_equal(released, 2);
}

static void content_is_replaced(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	struct content *bytes;
	int released = 0;
	struct tree_info info;
	char buf[5] = "";
	tree_id id;

	add_content(b, 0, "cfg", counted_new(&released), 9);
	tree = builder_tree(b);
	id = must_find(tree, "cfg");
	assert_ok(content_new_bytes(&bytes, "hello", 5));
	assert_int_equal(tree_set_content(tree, TREE_ROOT, bytes, 5), -EINVAL);
	assert_ok(tree_set_content(tree, id, bytes, 5));
	assert_int_equal(released, 1);
	get_info(tree, "cfg", &info);
	assert_int_equal(info.size, 5);
	assert_ptr_equal(tree_content(tree, id), bytes);
	assert_ok(tree_read(tree, id, buf, 3, 2, NULL));
	assert_string_equal(buf, "llo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_are_released_once),
		cmocka_unit_test(contents_of_a_builder_that_made_nothing),
		cmocka_unit_test(content_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
