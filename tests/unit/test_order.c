/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order of the menu, its default, and the table that shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "boot_tree.h"

/* One version in several files: kernels/ before boot/, then by name. */
static void the_same_version(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/kernel-6.1" },
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/kernel-6.1" },
		{ "kernels/bzImage", .version = "6.1 x" },
		{ "kernels/a/vmlinuz", .version = "6.1 x" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	static const char *const ids[] = {
		"gnulinux-6.1 (partition 2: /kernels/bzImage)",
		"gnulinux-6.1 (partition 2: /kernels/a/vmlinuz)",
		"gnulinux-6.1",
		"gnulinux-6.1 (partition 2: /kernels/vmlinuz-6.1)",
		"gnulinux-6.1 (partition 1: /boot/kernel-6.1)",
		"gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)",
	};
	static const char *const titles[] = {
		"Linux 6.1 (bzImage)",
		"Linux 6.1 (a/vmlinuz)",
		"Linux 6.1",
		"Linux 6.1 (partition 2: /kernels/vmlinuz-6.1)",
		"Linux 6.1 (partition 1: /boot/kernel-6.1)",
		"Linux 6.1 (partition 1: /boot/vmlinuz-6.1)",
	};
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);

	assert_paths(kernels,
		     PATHS("/kernels/bzImage", "/kernels/a/vmlinuz",
			   "/kernels/kernel-6.1", "/kernels/vmlinuz-6.1",
			   "/boot/kernel-6.1", "/boot/vmlinuz-6.1"));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(entries[i].id, ids[i]);
		assert_string_equal(entries[i].title, titles[i]);
	}
}

/* Newest file first, whatever its name; the same time: as ever. */
static void by_time(void **state)
{
	static const struct boot_options options = {
		.order = BOOT_ORDER_MTIME,
	};
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1", .mtime = 300 },
		{ "kernels/vmlinuz-6.2", .mtime = 200 },
		{ "kernels/vmlinuz-6.3", .mtime = 200 },
		{ "kernels/bzImage", .mtime = -5 },
		{ "boot/vmlinuz-6.9", .mtime = 250 },
		{ "kernels/x/vmlinuz", .mtime = 400 },
		{ "build/bzImage", .mtime = 500 },
		{ "kernels/vmlinuz-1", "../build/bzImage" },
		{ "linux", .mtime = 350 },
		{ "loader/entries/a.conf", .text = "linux /linux\n" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, &options);

	assert_paths(kernels,
		     PATHS("/kernels/vmlinuz-1", "/kernels/x/vmlinuz", "/linux",
			   "/kernels/vmlinuz-6.1", "/boot/vmlinuz-6.9",
			   "/kernels/vmlinuz-6.3", "/kernels/vmlinuz-6.2",
			   "/kernels/bzImage"));
}

/* The default is on top, all the others stay in their order. */
static void default_first(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.3" },
		{ "kernels/bzImage", .version = "5.0 x" },
		{ "kernels/mine/vmlinuz", .version = "4.0 x" },
		{ "kernels/a/vmlinuz", .version = "6.1 x" },
		{ "boot/vmlinuz-6.1" },
		{ "loader/entries/it+3-1.conf",
		  .text = "linux /kernels/vmlinuz-6.3\nversion 7" },
		{ NULL },
	};
	static const struct {
		const char *name;
		const char *path;
	} cases[] = {
		{ "6.1", "/kernels/vmlinuz-6.1" },
		{ "vmlinuz-6.2", "/kernels/vmlinuz-6.2" },
		{ "gnulinux-6.2", "/kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.1", "/kernels/vmlinuz-6.1" },
		{ "/boot/vmlinuz-6.1", "/boot/vmlinuz-6.1" },
		{ "gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)",
		  "/boot/vmlinuz-6.1" },
		{ "bzImage", "/kernels/bzImage" },
		{ "5.0", "/kernels/bzImage" },
		{ "a", "/kernels/a/vmlinuz" },
		{ "mine", "/kernels/mine/vmlinuz" },
		{ "mine/vmlinuz", "/kernels/mine/vmlinuz" },
		{ "it+3-1", "/kernels/vmlinuz-6.3" },
		{ "it+3-1.conf", "/kernels/vmlinuz-6.3" },
		{ "7", "/kernels/vmlinuz-6.3" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .default_entry =
							cases[i].name };
		_cleanup_boot_ struct boot_kernels *kernels = find(files,
								   &options);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries), 7);
		assert_string_equal(entries[0].path, cases[i].path);
		assert_true(entries[0].is_default);
		assert_false(entries[1].is_default);
	}
}

/* What people see: the menu's order, and why a file is not in it. */
static void a_table(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/grub/x" },
		{ "kernels/bzImage", .version = "6.9\n x" },
		{ "kernels/vmlinuz-6.10" },
		{ "kernels/initrd.img-6.10" },
		{ "kernels/initrd.img-6.10.d" },
		{ "kernels/initrd.img-5.0" },
		{ "kernels/vmlinuz-6.2", "nowhere" },
		{ "kernels/vmlinuz-6.1.rpmsave" },
		{ "kernels/System.map-6.1\n" },
		{ NULL },
	};
	static const struct file none[] = { { "kernels/dir/x" }, { NULL } };
	struct boot_kernels *kernels = find(files, NULL);
	char *text;

	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &text), 0);
	assert_string_equal(
		text,
		"VERSION  KERNEL                 INITIAL RAM DISKS\n"
		"6.9\\x0a  /kernels/bzImage       -\n"
		"6.10     /kernels/vmlinuz-6.10  /kernels/initrd.img-6.10, "
		"/kernels/initrd.img-6.10.d\n"
		"6.1      /boot/vmlinuz-6.1      -\n"
		"\n"
		"Not in the menu:\n"
		"/kernels/System.map-6.1\\x0a: has no kernel's name: vmlinuz-*, "
		"kernel-*, vmlinuz, bzImage\n"
		"/kernels/initrd.img-5.0: goes with no kernel\n"
		"/kernels/vmlinuz-6.1.rpmsave: is what packages leave beside "
		"kernels, by its name\n"
		"/kernels/vmlinuz-6.2: leads to no file on its partition\n");
	free(text);
	boot_kernels_free(kernels);
	kernels = find(none, NULL);
	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &text), 0);
	assert_string_equal(text, "No kernel in kernels/ or boot/.\n");
	free(text);
	boot_kernels_free(kernels);
}

/* The number in "and N more", from text on. */
static size_t more_of(const char *text)
{
	const char *p = strstr(text, "and ");

	assert_non_null(p);
	return strtoul(p + 4, NULL, 10);
}

static size_t count_lines(const char *text, const char *end,
			  const char *beginning)
{
	size_t n = 0;

	while ((text = strstr(text, beginning)) && text < end) {
		text++;
		n++;
	}
	return n;
}

/* However much there is, the table ends, and says how much is missing. */
static void a_table_of_many(void **state)
{
	enum {
		N = 600,
		MAX = 4096
	};
	static char names[2 * N][40];
	static struct file files[2 * N + 1];
	struct boot_kernels *kernels;
	char *text;
	const char *rejects;

	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], 40, "kernels/vmlinuz-1.%03u", i);
		snprintf(names[N + i], 40, "kernels/other-%03u", i);
		files[i].path = names[i];
		files[N + i].path = names[N + i];
	}
	kernels = find(files, NULL);
	assert_int_equal(boot_kernels_table(kernels, MAX, &text), 0);
	rejects = strstr(text, "Not in the menu");
	assert_non_null(rejects);
	assert_true(strlen(text) < 2 * MAX + 200);
	assert_true(strlen(text) > MAX);
	assert_int_equal(count_lines(text, rejects, "/kernels/vmlinuz-") +
				 more_of(text),
			 N);
	assert_int_equal(
		count_lines(rejects, text + strlen(text), "/kernels/other-") +
			more_of(rejects),
		N);
	free(text);
	boot_kernels_free(kernels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_version), cmocka_unit_test(by_time),
		cmocka_unit_test(default_first),    cmocka_unit_test(a_table),
		cmocka_unit_test(a_table_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
