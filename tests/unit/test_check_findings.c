/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What dirdisk-check found: nothing is said twice. */
#include "support.h"

#include "tools/check/findings.h"

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
	findings_unite(&findings);
	assert_int_equal(findings.count, 1);
	assert_null(findings.items[0].path);
	assert_string_equal(findings.items[0].reason, strerror(EIO));
}

/* In seconds, where comparing each with each other takes minutes. */
static void among_many(void **state)
{
	_cleanup_findings_ struct findings findings = { 0 };
	const unsigned n = 200000;

	alarm(120);
	for (unsigned i = 0; i < 2 * n; i++) {
		char path[32];

		snprintf(path, sizeof(path), "src/%u", i % n);
		add(&findings, path, "wrong");
	}
	findings_unite(&findings);
	alarm(0);
	assert_int_equal(findings.count, n);
	assert_string_equal(findings.items[n - 1].path, "src/199999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_twice),
		cmocka_unit_test(without_words),
		cmocka_unit_test(among_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
