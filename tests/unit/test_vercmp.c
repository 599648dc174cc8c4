/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The version order of the Boot Loader Specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/order.h"
#include "base/math.h"
#include "boot/bls.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void assert_order(const char *a, char relation, const char *b)
{
	int expected = relation == '<' ? -1 : relation == '>';

	if (sign(bls_compare_versions(a, b)) != expected ||
	    sign(bls_compare_versions(b, a)) != -expected)
		fail_msg("not %s %c %s", a, relation, b);
}

/*
 * The document's own examples, with one correction: it lists '' and 0 as below
 * ~, which its rule 3 has the other way, and so has every implementation.
 */
static void examples_of_the_document(void **state)
{
	assert_order("11", '=', "11");
	assert_order("systemd-123", '=', "systemd-123");
	assert_order("bar-123", '<', "foo-123");
	assert_order("123a", '>', "123");
	assert_order("123.a", '>', "123");
	assert_order("123.a", '<', "123.b");
	assert_order("123a", '>', "123.a");
	assert_order("11\xce\xb1", '=', "11\xce\xb2");
	assert_order("A", '<', "a");
	assert_order("", '<', "0");
	assert_order("0.", '>', "0");
	assert_order("0.0", '>', "0");
	assert_order("0", '>', "~");
	assert_order("", '>', "~");
	assert_order("1_", '=', "1");
	assert_order("_1", '=', "1");
	assert_order("1_", '<', "1.2");
	assert_order("1_2_3", '>', "1.3.3");
	assert_order("1+", '=', "1");
	assert_order("+1", '=', "1");
	assert_order("1+", '<', "1.2");
	assert_order("1+2+3", '>', "1.3.3");
}

static void every_rule(void **state)
{
	assert_order("6.9~rc1", '<', "6.9");
	assert_order("6.9~rc1", '<', "6.9~rc2");
	assert_order("6.9^1", '>', "6.9");
	assert_order("6.9^1", '>', "6.9.1");
	assert_order("6.9-1", '<', "6.9.1");
	assert_order("6.9-1", '>', "6.9");
	assert_order("6.10", '>', "6.9");
	assert_order("6.009", '=', "6.9");
	assert_order("99999999999999999999998", '<', "99999999999999999999999");
	assert_order("9", '<', "10000000000000000000000");
	assert_order("abc", '>', "ab");
	assert_order("ab1", '<', "abc");
	assert_order("1.a", '>', "1.");
	assert_order("^_1", '=', "^1");
	assert_order("^_1", '>', "^0a");
}

static void is_an_order(void **state)
{
	/* One for each rule, two where a rule compares. */
	static const char *const parts[] = { "0", "1", "a", "Z", ".",
					     "-", "~", "^", "_" };

	assert_is_an_order(bls_compare_versions, parts, ARRAY_SIZE(parts), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_the_document),
		cmocka_unit_test(every_rule),
		cmocka_unit_test(is_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
