/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as printable text: each flag by itself, and what no flag changes. */
#include "support.h"

#include "base/escape.h"

static void is_escaped_as(const char *text, unsigned flags, const char *want)
{
	_cleanup_free_ char *escaped = escape_text(text, flags);
	char buf[256];

	assert_string_equal(escaped, want);
	assert_ptr_equal(escape_to(buf, text, flags), buf + strlen(want));
	assert_string_equal(buf, want);
	assert_true(strlen(want) < ESCAPE_SIZE(strlen(text)));
}

static void control_characters_always(void **state)
{
	for (unsigned flags = 0; flags < 8; flags++) {
		is_escaped_as("", flags, "");
		is_escaped_as(" az~\"'", flags, " az~\"'");
		is_escaped_as("\x01\n\t\x1f\x7f", flags,
			      "\\x01\\x0a\\x09\\x1f\\x7f");
	}
}

static void each_flag(void **state)
{
	is_escaped_as("a\\b\xc3\xa4\xff", 0, "a\\b\xc3\xa4\xff");
	is_escaped_as("a\\b\xc3\xa4\xff", ESCAPE_BACKSLASH,
		      "a\\x5cb\xc3\xa4\xff");
	is_escaped_as("a\\b\xc3\xa4\xff", ESCAPE_NON_ASCII,
		      "a\\b\\xc3\\xa4\\xff");
	is_escaped_as("a\\b\xc3\xa4\xff", ESCAPE_NON_UTF8, "a\\b\xc3\xa4\\xff");
	is_escaped_as("a\\b\xc3\xa4\xff", ESCAPE_BACKSLASH | ESCAPE_NON_UTF8,
		      "a\\x5cb\xc3\xa4\\xff");
}

/* Further ones are in test_diag.c. */
static void utf8(void **state)
{
	is_escaped_as("\xf0\x9f\x98\x80\xe2\x82", ESCAPE_NON_UTF8,
		      "\xf0\x9f\x98\x80\\xe2\\x82");
	is_escaped_as("\xc2\x9b\xc2\xa0", ESCAPE_NON_UTF8,
		      "\\xc2\\x9b\xc2\xa0");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_always),
		cmocka_unit_test(each_flag),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
