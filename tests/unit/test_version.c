/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order of kernel versions is the one people expect, and an order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/order.h"
#include "base/math.h"
#include "boot/version.h"

static int sign(int r)
{
	return (r > 0) - (r < 0);
}

/* Oldest first: every pair of these must compare as its places do. */
static const char *const sorted[] = {
	"2.6.32",
	"5.10.0-9-amd64",
	"5.10.0-10-amd64",
	"6.1.0-9-amd64",
	"6.1.0-18-amd64.old",
	"6.1.0-18-amd64",
	"6.8.12",
	"6.9.0-git5",
	"6.9.0-pre2",
	"6.9.0-rc1",
	"6.9.0-rc9",
	"6.9.0-rc10.old",
	"6.9.0-rc10",
	"6.9.0-rc10+",
	"6.9-test1",
	"6.9.0-0.rc3.20240401.fc41",
	"6.9",
	"6.9.0.old",
	"6.9.0",
	"6.9.0-1-amd64",
	"6.9.0-64.fc40",
	"6.9.0-precise",
	"6.9.1",
	"6.9.10",
	"6.10.0-rc1",
	"6.10.0",
	"6.10.0+",
	"10.0",
	"bzImage",
	"lts",
	"vmlinuz",
};

static void pairs_in_order(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int r = sign(version_compare(sorted[i], sorted[j]));

			if (r != (i > j) - (i < j))
				fail_msg("%s against %s gives %d", sorted[i],
					 sorted[j], r);
		}
	}
}

static void old_is_next_to_its_sibling(void **state)
{
	assert_true(version_compare("6.1.old", "6.1") < 0);
	assert_true(version_compare("6.1.old", "6.1-rc1") > 0);
	assert_true(version_compare("6.1.old", "6.0.99") > 0);
	assert_int_equal(version_stem_len("6.1.old"), 3);
	assert_int_equal(version_stem_len("6.1"), 3);
	assert_int_equal(version_stem_len(".old"), 4);
	assert_int_equal(version_stem_len(""), 0);
}

static void numbers_of_any_length(void **state)
{
	assert_true(version_compare("99999999999999999999999999999",
				    "100000000000000000000000000000") < 0);
	assert_true(version_compare("6.1-20240101010101010101", "6.1-3") > 0);
	assert_true(version_compare("6.01", "6.2") < 0);
}

/* Only the same bytes compare as equal. */
static void equal_only_when_the_same(void **state)
{
	assert_true(version_compare("6.1", "6.01") != 0);
	assert_true(version_compare("6.1-rc1", "6.1.rc1") != 0);
	assert_true(version_compare("6.1-rc1", "6.1-rc01") != 0);
	assert_true(version_compare("\xff", "\xfe") > 0);
	assert_int_equal(version_compare("", ""), 0);
	assert_int_equal(version_compare("6.1-rc1.old", "6.1-rc1.old"), 0);
}

static void is_an_order(void **state)
{
	static const char *const parts[] = { "6",  "0",	 "10",	".",   "-",
					     "rc", "_",	 "a",	"pre", "+",
					     "~",  "01", ".old" };

	assert_is_an_order(version_compare, parts, ARRAY_SIZE(parts), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_in_order),
		cmocka_unit_test(old_is_next_to_its_sibling),
		cmocka_unit_test(numbers_of_any_length),
		cmocka_unit_test(equal_only_when_the_same),
		cmocka_unit_test(is_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
