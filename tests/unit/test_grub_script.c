/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/grub_script.h"

#include "support.h"

/* "k:PATH" for a kernel, "i:PATH" for another file, a line each. */
static int put(void *context, const char *path, bool kernel)
{
	fprintf(context, "%c:%s\n", kernel ? 'k' : 'i', path);
	return 0;
}

static void assert_files(const char *menu, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(grub_script_files(menu, put, f), 0);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, expected);
}

static void test_entry(void **state)
{
	assert_files("set timeout=2\n"
		     "menuentry 'Linux 6.9' --id gnulinux-6.9 {\n"
		     "\tset root=\"$drive,msdos2\"\n"
		     "\techo 'Loading Linux'\n"
		     "\tlinux /kernels/vmlinuz-6.9 root=/dev/x /none quiet\n"
		     "\tinitrd /kernels/a /kernels/b\n"
		     "}\n",
		     "k:kernels/vmlinuz-6.9\ni:kernels/a\ni:kernels/b\n");
}

static void test_forms(void **state)
{
	assert_files("linux (hd0,msdos2)/k; initrd ($root)//i", "k:k\ni:i\n");
	assert_files("if true; then linux16 /k && initrd16 /i; fi",
		     "k:k\ni:i\n");
	assert_files("menuentry x {linux /k;initrd /i}", "k:k\ni:i\n");
	assert_files("# linux /k\ninitrd -x /i", "i:i\n");
	assert_files("echo linux /k\nlinux\n/k\n", "");
}

static void test_quotes(void **state)
{
	assert_files("linux '/a b'\\''c'\n", "k:a b'c\n");
	assert_files("linux \"/a \\\"b\\\\c\"\n", "k:a \"b\\c\n");
	assert_files("linux /a\\ b\\;c\n", "k:a b;c\n");
	assert_files("linux '/a\n;{}#b'\n", "k:a\n;{}#b\n");
	assert_files("linux '/no end", "k:no end\n");
	assert_files("linux \"/no end\\", "k:no end\\\n");
	assert_files("linux /no\\", "k:no\\\n");
}

static void test_nowhere(void **state)
{
	assert_files("linux /\nlinux (hd0)\nlinux (hd0\nlinux k\n", "");
	assert_files("linux /a/../k\n", "k:a/../k\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
