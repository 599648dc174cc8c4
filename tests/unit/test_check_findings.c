/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What dirdisk-check found: its order, and that nothing is said twice. */
#include "support.h"

#include "tools/check_findings.h"

#define _cleanup_findings_ _cleanup_(findings_clear)

static void add(struct findings *findings, const char *path, const char *reason)
{
	const struct diag diag = { .path = (char *)(uintptr_t)path,
				   .reason = (char *)(uintptr_t)reason };

	assert_ok(findings_add(findings, &diag, -EIO));
}

static void assert_paths(const struct findings *findings,
			 const char *const *paths, size_t n)
{
	assert_int_equal(findings->count, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(findings->items[i].path, paths[i]);
}

/* Level by level, name by name, whatever order they come in. */
static void in_the_order_of_a_scan(void **state)
{
	static const char *const order[] = {
		"/s",
		"/s/boot",
		"/s/boot/z/z",
		"/s/kernels/initrd.d",
		"/s/kernels/b/modules/x",
		"/s/a",
		"/s/a.b",
		"/s/b",
		"/s/bootless",
		"/s/\xff",
		"/s/a/x",
		"/s/a/y",
		"/s/a!/a",
		"/s/b/a",
		"/s/a/x/1",
		"--default",
		"/sx/a",
	};
	size_t n = ARRAY_SIZE(order);
	uint64_t seed = random_begin();

	for (int round = 0; round < 100; round++) {
		_cleanup_findings_ struct findings findings = { 0 };
		const char *mixed[ARRAY_SIZE(order)];

		memcpy(mixed, order, sizeof(order));
		/* What is not below the root stays as it came. */
		for (size_t i = n - 2; i > 1; i--) {
			size_t other = random_below(&seed, i);
			const char *swap = mixed[i - 1];

			mixed[i - 1] = mixed[other];
			mixed[other] = swap;
		}
		add(&findings, "first", "is not sorted");
		for (size_t i = 0; i < n; i++)
			add(&findings, mixed[i], "why");
		findings_sort(&findings, 1, "/s");
		assert_string_equal(findings.items[0].path, "first");
		for (size_t i = 0; i < n; i++)
			assert_string_equal(findings.items[1 + i].path,
					    order[i]);
	}
}

static void below_the_root_of_all(void **state)
{
	static const char *const order[] = { "/boot/a", "/b", "/c/a" };
	_cleanup_findings_ struct findings findings = { 0 };

	add(&findings, "/c/a", "");
	add(&findings, "/b", "");
	add(&findings, "/boot/a", "");
	findings_sort(&findings, 0, "/");
	assert_paths(&findings, order, ARRAY_SIZE(order));
}

static void nothing_twice(void **state)
{
	static const char *const kept[] = { "b", "a", "c", "a" };
	_cleanup_findings_ struct findings findings = { 0 };

	findings_unite(&findings);
	add(&findings, "b", "1");
	add(&findings, "a", "1");
	add(&findings, "b", "1");
	add(&findings, "c", "1");
	add(&findings, "a", "2");
	add(&findings, "a", "1");
	add(&findings, "b", "1");
	findings_unite(&findings);
	assert_paths(&findings, kept, ARRAY_SIZE(kept));
	assert_string_equal(findings.items[3].reason, "2");
}

static void without_words(void **state)
{
	_cleanup_findings_ struct findings findings = { 0 };

	add(&findings, NULL, NULL);
	add(&findings, NULL, NULL);
	findings_sort(&findings, 0, "/s");
	findings_unite(&findings);
	assert_int_equal(findings.count, 1);
	assert_null(findings.items[0].path);
	assert_string_equal(findings.items[0].reason, strerror(EIO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_order_of_a_scan),
		cmocka_unit_test(below_the_root_of_all),
		cmocka_unit_test(nothing_twice),
		cmocka_unit_test(without_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
