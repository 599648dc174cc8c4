/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Growing arrays: what is pushed stays, and sizes that overflow are refused. */
#include "support.h"

#include "base/vec.h"

struct numbers {
	uint64_t *items;
	size_t count, size;
};

static void pushes_are_zeroed_and_stay(void **state)
{
	struct numbers v = { 0 };

	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t *n = vec_push(&v);

		assert_non_null(n);
		assert_int_equal(*n, 0);
		*n = i ^ 0x5555;
	}
	assert_int_equal(v.count, 100000);
	assert_true(v.size >= v.count && v.size <= v.count + v.count / 2 + 8);
	for (uint64_t i = 0; i < 100000; i++)
		assert_int_equal(v.items[i], i ^ 0x5555);
	vec_shrink(&v);
	assert_int_equal(v.size, 100000);
	assert_int_equal(v.items[99999], 99999 ^ 0x5555);
	vec_free(&v);
	assert_null(v.items);
	assert_int_equal(v.count + v.size, 0);
	vec_free(&v);
}

static void reserved_room_does_not_move(void **state)
{
	struct numbers v = { 0 };
	uint64_t *first;

	assert_ok(vec_reserve(&v, 1000));
	assert_true(v.size >= 1000);
	first = vec_push(&v);
	for (int i = 1; i < 1000; i++)
		assert_non_null(vec_push(&v));
	assert_ptr_equal(first, v.items);
	vec_free(&v);
}

static void nothing_is_no_allocation(void **state)
{
	struct numbers v = { 0 };

	assert_ok(vec_reserve(&v, 0));
	assert_null(v.items);
	vec_shrink(&v);
	assert_null(v.items);
}

/* An emptied vector keeps its room. */
static void shrinking_to_nothing(void **state)
{
	struct numbers v = { 0 };

	assert_non_null(vec_push(&v));
	v.count = 0;
	vec_shrink(&v);
	assert_non_null(v.items);
	assert_non_null(vec_push(&v));
	vec_free(&v);
}

static void overflow_is_refused(void **state)
{
	struct numbers v = { 0 };

	assert_non_null(vec_push(&v));
	assert_int_equal(vec_reserve(&v, SIZE_MAX), -ENOMEM);
	assert_int_equal(vec_reserve(&v, SIZE_MAX / 8), -ENOMEM);
	assert_int_equal(v.count, 1);
	assert_int_equal(v.items[0], 0);
	vec_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_are_zeroed_and_stay),
		cmocka_unit_test(reserved_room_does_not_move),
		cmocka_unit_test(nothing_is_no_allocation),
		cmocka_unit_test(shrinking_to_nothing),
		cmocka_unit_test(overflow_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
