/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Text that is printed into memory, and calls in a child. */
#include "support.h"

#include <signal.h>
#include <sys/mman.h>

#include "base/isolate.h"
#include "base/memstream.h"

static void test_nothing(void **state)
{
	struct memstream stream;
	_cleanup_free_ char *text = NULL;
	size_t len = 1;

	assert_non_null(memstream_open(&stream));
	assert_ok(memstream_close(&stream, &text, &len));
	assert_string_equal(text, "");
	assert_int_equal(len, 0);
}

static void test_long_text(void **state)
{
	struct memstream stream;
	_cleanup_free_ char *text = NULL;
	FILE *f = memstream_open(&stream);
	size_t len;

	assert_non_null(f);
	for (unsigned i = 0; i < 100000; i++)
		fprintf(f, "%05u\n", i);
	assert_int_equal(ftell(f), 600000);
	assert_ok(memstream_close(&stream, &text, &len));
	assert_int_equal(len, 600000);
	assert_int_equal(strlen(text), len);
	assert_memory_equal(text + 6 * 12345, "12345\n", 6);
}

/* What could not be kept is an error, never a shorter text. */
static void test_lost_text(void **state)
{
	struct memstream stream;
	char *text = NULL;
	FILE *f = memstream_open(&stream);

	assert_non_null(f);
	fputs("kept", f);
	fflush(f);
	stream.failed = true;
	fputs("lost", f);
	assert_int_equal(memstream_close(&stream, &text, NULL), -ENOMEM);
	assert_null(text);
}

static int add_one(void *context)
{
	++*(int *)context;
	return -EDOM;
}

static int crash(void *context)
{
	return raise(*(int *)context);
}

static void test_child(void **state)
{
	int here = 1;
	int *shared = isolate_memory(sizeof(*shared));

	assert_non_null(shared);
	assert_int_equal(isolate_run(add_one, shared), -EDOM);
	assert_int_equal(*shared, 1);
	assert_int_equal(isolate_run(add_one, &here), -EDOM);
	assert_int_equal(here, 1);
	munmap(shared, sizeof(*shared));
}

static void test_child_that_crashes(void **state)
{
	int numbers[] = { SIGSEGV, SIGABRT, SIGKILL, SIGXCPU };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		assert_int_equal(isolate_run(crash, &numbers[i]), -ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_lost_text),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_child_that_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
