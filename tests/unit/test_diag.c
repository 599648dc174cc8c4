/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What went wrong, on one line that a terminal can be shown. */
#include "support.h"

static void assert_formats(const char *path, const char *reason, int err,
			   const char *expected)
{
	struct diag diag = { (char *)(uintptr_t)path,
			     (char *)(uintptr_t)reason };
	_cleanup_free_ char *text = diag_format(&diag, err);

	assert_string_equal(text, expected);
}

static void path_and_reason(void **state)
{
	assert_formats("/a/b", "is no good", -EINVAL, "/a/b: is no good");
	assert_formats(NULL, "is no good", -EINVAL, "is no good");
	assert_formats("/a/b", NULL, -ENOENT,
		       "/a/b: No such file or directory");
	assert_formats(NULL, NULL, -ENOSPC, "No space left on device");
	assert_formats("", "", -EINVAL, ": ");
}

static void no_diagnostic_at_all(void **state)
{
	_cleanup_free_ char *text = diag_format(NULL, -EACCES);

	assert_string_equal(text, "Permission denied");
	assert_int_equal(diag_set(NULL, -EIO, "/x", "why"), -EIO);
	diag_clear(NULL);
}

static void what_is_set(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(diag_set(&diag, -EFBIG, "/a", "%d of %s", 7, "these"),
			 -EFBIG);
	assert_string_equal(diag.path, "/a");
	assert_string_equal(diag.reason, "7 of these");
	assert_int_equal(diag_set(&diag, -ENOENT, NULL, NULL), -ENOENT);
	assert_null(diag.path);
	assert_string_equal(diag.reason, strerror(ENOENT));
	diag_clear(&diag);
	assert_null(diag.path);
	assert_null(diag.reason);
	diag_clear(&diag);
}

/* A path of percent signs is no format. */
static void path_is_no_format(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_free_ char *text = NULL;

	diag_set(&diag, -EIO, "/%s%n%d", "%s", "100% %s");
	text = diag_format(&diag, -EIO);
	assert_string_equal(text, "/%s%n%d: 100% %s");
}

static void says_more_of_the_same(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	diag_set(&diag, -EIO, "/a", "first");
	diag_set(&diag, -EIO, diag.path, "%s and second", diag.reason);
	assert_string_equal(diag.path, "/a");
	assert_string_equal(diag.reason, "first and second");
}

/* A sink gets every problem; the first error is remembered. */
static void sink_gets_all(void **state)
{
	_cleanup_(heard_clear) struct heard heard;
	_cleanup_diag_ struct diag diag = heard_begin(&heard);

	assert_int_equal(diag_report(&diag, 0), 0);
	diag_notice(&diag, "/n", "is of note");
	assert_int_equal(diag.reported, 0);
	diag_set(&diag, -EIO, "/a", "first");
	assert_int_equal(diag_report(&diag, -EIO), 0);
	assert_null(diag.path);
	assert_int_equal(diag_report(&diag, diag_set(&diag, -EPERM, "/b", "2")),
			 0);
	assert_int_equal(diag.reported, -EIO);
	/* That is no question of what is left out. */
	assert_int_equal(diag_report(&diag, -ENOMEM), -ENOMEM);
	assert_int_equal(heard.n, 3);
	assert_string_equal(heard.lines[0], "/n: is of note");
	assert_string_equal(heard.lines[1], "/a: first");
	assert_string_equal(heard.lines[2], "/b: 2");
	assert_int_equal(heard.errors[0], 0);
	assert_int_equal(heard.errors[1], -EIO);
}

static void nobody_listens(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct diag other = DIAG_INIT;

	assert_int_equal(diag_report(NULL, -EIO), -EIO);
	diag_set(&diag, -EIO, "/a", "why");
	diag_notice(&diag, "/n", "is of note");
	assert_int_equal(diag_report(&diag, -EIO), -EIO);
	assert_string_equal(diag.path, "/a");
	diag_move(&other, &diag);
	assert_null(diag.path);
	assert_string_equal(other.reason, "why");
	diag_move(NULL, &other);
	assert_null(other.reason);
}

static void bytes_that_a_terminal_obeys(void **state)
{
	static const struct {
		const char *bytes;
		const char *shown;
	} cases[] = {
		{ "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
		{ "\x1b[2J\x7f", "\\x1b[2J\\x7f" },
		{ "\x01\x1f ", "\\x01\\x1f " },
		{ "\xff\xfe", "\\xff\\xfe" },
		/* C1 controls, as bytes and as UTF-8 */
		{ "\x9b", "\\x9b" },
		{ "\xc2\x9b", "\\xc2\\x9b" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s: %s", cases[i].shown,
			 cases[i].shown);
		assert_formats(cases[i].bytes, cases[i].bytes, -EIO, line);
	}
}

static void utf8_stays(void **state)
{
	static const char *const good[] = {
		"\xc2\xa0",	    "\xc3\xa4",		"\xdf\xbf",
		"\xe0\xa0\x80",	    "\xe2\x82\xac",	"\xed\x9f\xbf",
		"\xee\x80\x80",	    "\xef\xbf\xbf",	"\xf0\x90\x80\x80",
		"\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_formats(NULL, good[i], -EIO, good[i]);
}

/* Overlong, surrogates, too high, cut off: every byte shows by itself. */
static void no_utf8_does_not(void **state)
{
	static const struct {
		const char *bytes;
		const char *shown;
	} cases[] = {
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xc1\xbf", "\\xc1\\xbf" },
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
		{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xe2\x82z", "\\xe2\\x82z" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xc3", "\\xc3" },
		{ "\x80\xc3\xa4", "\\x80\xc3\xa4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_formats(NULL, cases[i].bytes, -EIO, cases[i].shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_and_reason),
		cmocka_unit_test(no_diagnostic_at_all),
		cmocka_unit_test(what_is_set),
		cmocka_unit_test(path_is_no_format),
		cmocka_unit_test(says_more_of_the_same),
		cmocka_unit_test(sink_gets_all),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(bytes_that_a_terminal_obeys),
		cmocka_unit_test(utf8_stays),
		cmocka_unit_test(no_utf8_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
