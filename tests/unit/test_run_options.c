/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/run/options.h"

#include "support.h"

#define MAX_ARGS 16

static int parse(struct run_options *options, struct diag *diag,
		 const char *const *words)
{
	static char *argv[MAX_ARGS + 2];
	int argc = 1;

	argv[0] = (char *)"dirdisk-run";
	for (; *words; words++) {
		assert_true(argc <= MAX_ARGS);
		argv[argc++] = (char *)*words;
	}
	argv[argc] = NULL;
	return run_options_parse(options, argc, argv, diag);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

#define _cleanup_run_ _cleanup_(run_options_clear)

static void assert_parses(struct run_options *options, const char *const *words)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	if (parse(options, &diag, words) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
}

static void assert_refused(const char *const *words, const char *named,
			   const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct run_options options;

	assert_int_equal(parse(&options, &diag, words), -EINVAL);
	assert_string_equal(diag.path, named);
	assert_contains(diag.reason, reason);
}

static void assert_words(char *const *words, const char *const *expected)
{
	for (; *words && *expected; words++, expected++)
		assert_string_equal(*words, *expected);
	assert_ptr_equal(*words, *expected);
}

static void test_own(void **state)
{
	_cleanup_run_ struct run_options o = { 0 };

	assert_parses(&o,
		      WORDS("--expect=a b", "src", "--timeout", "1.5m",
			    "--log=l", "--accel=tcg", "--qemu=q", "--dirdisk=d",
			    "-v", "--watch", "--", "-m", "--size=1"));
	assert_string_equal(o.src, "src");
	assert_string_equal(o.expect, "a b");
	assert_int_equal(o.timeout_ms, 90000);
	assert_string_equal(o.log, "l");
	assert_int_equal(o.accel, ACCEL_TCG);
	assert_string_equal(o.qemu, "q");
	assert_string_equal(o.dirdisk, "d");
	assert_true(o.verbose && o.watch);
	assert_false(o.read_only);
	assert_string_equal(o.name, "disk.img");
	assert_words(o.qemu_arguments, WORDS("-m", "--size=1"));
	assert_words(o.disk_options, WORDS());
}

/* Options of dirdisk are checked, and handed on by their whole names. */
static void test_handed_on(void **state)
{
	_cleanup_run_ struct run_options o = { 0 };

	assert_parses(&o, WORDS("--size", "1M", "s", "--no-gr", "-fo",
				"ro,timeout=5", "--watch=none", "--name=n",
				"--append="));
	assert_words(o.disk_options,
		     WORDS("--size=1M", "--no-grub", "-f", "-oro,timeout=5",
			   "--watch=none", "--name=n", "--append="));
	assert_true(o.read_only);
	assert_false(o.watch);
	assert_int_equal(o.timeout_ms, 0);
	assert_string_equal(o.name, "n");
	assert_null(*o.qemu_arguments);
}

static void test_refused(void **state)
{
	assert_refused(WORDS("s", "--size=x"), "--size=x", "not a size");
	assert_refused(WORDS("s", "-o", "ro,nosuch"), "-o nosuch", "unknown");
	assert_refused(WORDS("s", "-m", "1G"), "-m", "QEMU's go after --");
	assert_refused(WORDS("s", "t"), "t", "[-- QEMU arguments]");
	assert_refused(WORDS("-v"), "SRC", "usage: dirdisk-run SRC");
	assert_refused(WORDS(""), "SRC", "empty");
	assert_refused(WORDS("s", "--accel=x"), "--accel=x", "auto|kvm|tcg");
	assert_refused(WORDS("s", "--timeout=-1"), "--timeout=-1", "a time");
	assert_refused(WORDS("s", "--timeout=1w"), "--timeout=1w", "unit");
	assert_refused(WORDS("s", "--expect="), "--expect=", "empty");
	assert_refused(WORDS("s", "--log"), "--log", "needs a value");
	assert_refused(WORDS("s", "--verbose=1"), "--verbose=1", "no value");
	assert_refused(WORDS("s", "-o", "log=x"), "-o log=x", "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_handed_on),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
