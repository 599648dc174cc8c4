/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times that no clock ever showed, as file systems of others invent them. */
#include "support.h"

#define LAST  INT64_C(9223372036)
#define FIRST INT64_C(-9223372036)

static void beyond_64_bits(void **state)
{
	assert_true(time_ns(0, 0) == 0);
	assert_true(time_ns(1, 5) == INT64_C(1000000005));
	assert_true(time_ns(-1, 5) == INT64_C(-999999995));
	assert_true(time_ns(LAST, 854775807) == INT64_MAX);
	assert_true(time_ns(LAST, 854775808) == INT64_MAX);
	assert_true(time_ns(LAST, UINT32_MAX) == INT64_MAX);
	assert_true(time_ns(LAST + 1, 0) == INT64_MAX);
	assert_true(time_ns(INT64_MAX, UINT32_MAX) == INT64_MAX);
	assert_true(time_ns(FIRST, -854775808) == INT64_MIN);
	assert_true(time_ns(FIRST - 1, 0) == INT64_MIN);
	assert_true(time_ns(INT64_MIN, INT64_MIN) == INT64_MIN);
	assert_true(time_ns(INT64_MIN, UINT32_MAX) == INT64_MIN);
}

/* A disk has no second of more nanoseconds than there are in one. */
static void nanoseconds(void **state)
{
	static const struct {
		uint32_t is, shown;
	} cases[] = {
		{ 0, 0 },
		{ 999999999, 999999999 },
		{ 1000000000, 999999999 },
		{ UINT32_MAX, 999999999 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		struct tree_attr attr = file_attr;
		struct tree_info info;
		builder_id id;

		attr.mtime_ns = cases[i].is;
		assert_ok(tree_builder_add(b, 0, "f", 1, &attr, &id));
		tree = builder_tree(b);
		get_info(tree, "f", &info);
		assert_int_equal(info.attr.mtime_ns, cases[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beyond_64_bits),
		cmocka_unit_test(nanoseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
