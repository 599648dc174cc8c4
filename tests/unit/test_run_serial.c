/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/run/serial.h"

#include "support.h"

DEFINE_CLEANUP(struct serial, serial_free)

#define _cleanup_serial_ _cleanup_(serial_freep)

#define PANIC "Kernel panic - not syncing: VFS\n"
#define LINUX "[    0.000000] Linux version 6.1.0\r\n"
#define ERROR "error: file `/x' not found.\r\n\r\nPress any key to continue..."

static struct serial *expecting(const char *expect)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct serial *serial = NULL;

	assert_int_equal(serial_new(&serial, expect, &diag), 0);
	return serial;
}

/* The text in pieces of so many bytes. */
static void feed(struct serial *serial, const char *text, size_t len,
		 size_t piece)
{
	while (len) {
		size_t n = len < piece ? len : piece;

		serial_feed(serial, text, n);
		text += n;
		len -= n;
	}
}

/* Whether it is seen, in pieces of any size; at rest in the end. */
static bool seen(const char *expect, const char *text, size_t len)
{
	bool first = false;

	for (size_t piece = 1; piece <= len; piece++) {
		_cleanup_serial_ struct serial *serial = expecting(expect);

		feed(serial, text, len, piece);
		serial_rest(serial);
		if (piece == 1)
			first = serial_seen(serial);
		else
			assert_int_equal(serial_seen(serial), first);
	}
	return first;
}

#define SEEN(expect, text) seen(expect, text, sizeof(text) - 1)

static enum serial_trouble trouble(const char *text)
{
	enum serial_trouble first = SERIAL_NO_TROUBLE;
	const char *line;

	for (size_t piece = 1; piece <= strlen(text); piece++) {
		_cleanup_serial_ struct serial *serial = expecting("never");

		feed(serial, text, strlen(text), piece);
		serial_rest(serial);
		if (piece == 1)
			first = serial_trouble(serial, &line);
		else
			assert_int_equal(serial_trouble(serial, &line), first);
	}
	return first;
}

static void test_lines(void **state)
{
	assert_true(SEEN("^two$", "one\r\ntwo\r\nthree\r\n"));
	assert_true(SEEN("^$", "one\n\nthree\n"));
	assert_true(SEEN("[0-9]+ passed", "in 3 s: 12 passed"));
	assert_true(SEEN("a\tb", "a\tb\n"));
	assert_false(SEEN("one.*two", "one\ntwo\n"));
	assert_false(SEEN("^wo", "two\n"));
	assert_true(SEEN("\xc3\xa4", "\xc3\xa4\n"));
}

static void test_escapes(void **state)
{
	assert_true(SEEN("^green!$", "\033[1;32mgr\033(Been\033[0m!\n"));
	assert_true(SEEN("^ab$", "a\0\b\a\033=b\n"));
	assert_true(SEEN("^ab$", "a\033]0;title\ab\n"));
	assert_true(SEEN("^ab$", "a\033]0;title\033\\b\n"));
	/* The cursor goes elsewhere. */
	assert_true(SEEN("^first$", "first\033[3;4Hsecond"));
	assert_true(SEEN("^second$", "first\033[3;4Hsecond"));
	assert_true(SEEN("^firstsecond$", "first\033[Ksecond"));
	/* One that is broken off swallows a line at most. */
	assert_true(SEEN("^next$", "\033]0;no end\nnext\n"));
	assert_true(SEEN("^next$", "\033[12;\nnext\n"));
}

static void test_prompt(void **state)
{
	_cleanup_serial_ struct serial *serial = expecting("login: $");

	serial_feed(serial, "host login: ", 12);
	assert_false(serial_seen(serial));
	serial_rest(serial);
	assert_true(serial_seen(serial));
}

static void test_prompt_without_an_anchor_is_seen_at_once(void **state)
{
	_cleanup_serial_ struct serial *serial = expecting("login:");

	serial_feed(serial, "host login: ", 12);
	assert_true(serial_seen(serial));
}

static void test_bad_expression(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct serial *serial;

	assert_int_equal(serial_new(&serial, "a(b", &diag), -EINVAL);
	assert_string_equal(diag.path, "--expect=a(b");
}

static void test_trouble(void **state)
{
	assert_int_equal(trouble("all is well\n"), SERIAL_NO_TROUBLE);
	assert_int_equal(trouble(LINUX "[    1.5] " PANIC), SERIAL_PANIC);
	assert_int_equal(trouble(LINUX "half a line[ 1.5] " PANIC),
			 SERIAL_PANIC);
	assert_int_equal(trouble("\n -- System halted"), SERIAL_PANIC);
	assert_int_equal(trouble(ERROR), SERIAL_GRUB);
	assert_int_equal(trouble("\033[H\033[J\r\ngrub> "), SERIAL_GRUB);
	assert_int_equal(trouble("error: no such partition.\r\n"
				 "Entering rescue mode...\r\ngrub rescue> "),
			 SERIAL_GRUB);
}

static void test_no_trouble(void **state)
{
	assert_int_equal(trouble("error: no video mode\r\n"),
			 SERIAL_NO_TROUBLE);
	assert_int_equal(trouble("Press any key to continue..."),
			 SERIAL_NO_TROUBLE);
	assert_int_equal(trouble("grub> ls\r\n"), SERIAL_NO_TROUBLE);
	assert_int_equal(trouble("my grub> "), SERIAL_NO_TROUBLE);
	assert_int_equal(trouble(LINUX ERROR), SERIAL_NO_TROUBLE);
	assert_int_equal(trouble(LINUX "grub> "), SERIAL_NO_TROUBLE);
	assert_int_equal(trouble(LINUX "x -- System halted"),
			 SERIAL_NO_TROUBLE);
}

static void test_trouble_is_told(void **state)
{
	_cleanup_serial_ struct serial *serial = expecting("never");
	const char *line;

	serial_feed(serial, ERROR, strlen(ERROR));
	assert_int_equal(serial_trouble(serial, &line), SERIAL_GRUB);
	assert_string_equal(line, "error: file `/x' not found.");
	serial_restart(serial);
	assert_int_equal(serial_trouble(serial, &line), SERIAL_NO_TROUBLE);
	serial_feed(serial, LINUX PANIC, strlen(LINUX PANIC));
	assert_int_equal(serial_trouble(serial, &line), SERIAL_PANIC);
	assert_string_equal(line, "Kernel panic - not syncing: VFS");
}

static void test_long_line(void **state)
{
	_cleanup_serial_ struct serial *serial = expecting("^x|ab{3}c$");
	char chunk[1000];

	memset(chunk, 'y', sizeof(chunk));
	for (int i = 0; i < 1000; i++)
		serial_feed(serial, chunk, sizeof(chunk));
	/* In its middle, neither the line's begin nor its end. */
	serial_feed(serial, "xabbbc", 6);
	assert_false(serial_seen(serial));
	serial_feed(serial, "\n", 1);
	assert_true(serial_seen(serial));
}

/* A text is seen wherever in a long line it stands. */
static void test_cut_anywhere(void **state)
{
	static char chunk[16384 + 64];

	memset(chunk, 'y', sizeof(chunk));
	for (size_t before = 16300; before < sizeof(chunk); before++) {
		_cleanup_serial_ struct serial *serial = expecting("needle");

		serial_feed(serial, chunk, before);
		serial_feed(serial, "needle", 6);
		assert_true(serial_seen(serial));
	}
}

static void test_any_bytes(void **state)
{
	_cleanup_serial_ struct serial *serial = expecting("never ever");
	uint64_t seed = random_begin();
	uint64_t words[512];
	const char *line;

	for (int i = 0; i < 500; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(words); k++)
			words[k] = random_next(&seed);
		serial_feed(serial, (const char *)words, sizeof(words));
	}
	serial_rest(serial);
	assert_false(serial_seen(serial));
	assert_int_equal(serial_trouble(serial, &line), SERIAL_NO_TROUBLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_prompt),
		cmocka_unit_test(test_prompt_without_an_anchor_is_seen_at_once),
		cmocka_unit_test(test_bad_expression),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_no_trouble),
		cmocka_unit_test(test_trouble_is_told),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
