/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernels' command lines: whose words, in which order, and which cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot/cmdline.h"
#include "boot_tree.h"

#define CONSOLES "console=tty0 console=ttyS0,115200"
#define KERNEL	 "/kernels/vmlinuz-6.1"

/* The command line of the kernel of these files. */
static char *arguments_of(const struct file *files,
			  const struct boot_options *options)
{
	_cleanup_boot_ struct boot_kernels *kernels = find(files, options);

	return strdup(entry_of(kernels, KERNEL)->arguments);
}

static void assert_arguments(const struct file *files,
			     const struct boot_options *options,
			     const char *expected)
{
	_cleanup_free_ char *arguments = arguments_of(files, options);

	assert_string_equal(arguments, expected);
}

static void consoles(void **state)
{
	static const struct file files[] = { { &KERNEL[1] }, { NULL } };
	static const struct boot_options serial = {
		.console = BOOT_CONSOLE_SERIAL,
	};
	static const struct boot_options vga = { .console = BOOT_CONSOLE_VGA };

	assert_arguments(files, NULL, CONSOLES);
	assert_arguments(files, &serial, "console=ttyS0,115200");
	assert_arguments(files, &vga, "console=tty0");
}

/* In this order, as the last word of a name wins. */
static void precedence(void **state)
{
	static const struct boot_options options = { .append = "x=append" };
	struct file files[] = {
		{ &KERNEL[1] },
		{ "sbin/init" },
		{ "loader/entries/a.conf",
		  .text = "linux " KERNEL "\noptions x=entry\noptions y" },
		{ "kernels/vmlinuz-6.1.cmdline", .text = "x=file\n" },
		{ NULL },
	};
	struct boot_kernels *kernels = find(files, NULL);

	assert_string_equal(entry_of(kernels, KERNEL)->arguments_from,
			    KERNEL ".cmdline");
	boot_kernels_free(kernels);
	assert_arguments(files, &options,
			 CONSOLES " root=PARTUUID=00000000-02 rw x=file "
				  "x=append");
	files[3].path = NULL;
	kernels = find(files, NULL);
	assert_string_equal(entry_of(kernels, KERNEL)->arguments_from,
			    "/loader/entries/a.conf");
	boot_kernels_free(kernels);
	assert_arguments(files, &options,
			 CONSOLES " root=PARTUUID=00000000-02 rw x=entry y "
				  "x=append");
	files[2].path = NULL;
	kernels = find(files, NULL);
	assert_null(entry_of(kernels, KERNEL)->arguments_from);
	boot_kernels_free(kernels);
	assert_arguments(files, &options,
			 CONSOLES " root=PARTUUID=00000000-02 rw x=append");
}

/* A file may have lines, tabs, blanks and quotes. */
static void files_of_words(void **state)
{
	static const char *const cases[][2] = {
		{ "a b", CONSOLES " a b" },
		{ "a\nb\r\n\tc  d\n", CONSOLES " a b c d" },
		{ "", CONSOLES },
		{ "\n", CONSOLES },
		{ "a=\"b c\" \"d=e f\"", CONSOLES " \"a=b c\" \"d=e f\"" },
		{ "a=\"b\"", CONSOLES " a=b" },
		{ "$x;y{}#&|<>`", CONSOLES " $x;y{}#&|<>`" },
		{ "x=\xc3\xa4", CONSOLES " x=\xc3\xa4" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct file files[] = {
			{ &KERNEL[1] },
			{ "kernels/vmlinuz-6.1.cmdline", .text = cases[i][0] },
			{ NULL },
		};

		assert_arguments(files, NULL, cases[i][1]);
	}
}

/* Beside a kernel wherever it is, and by a link; to itself alone. */
static void places(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/vmlinuz-6.1.cmdline", .text = "boot" },
		{ "kernels/bzImage" },
		{ "kernels/bzImage.cmdline", .text = "bare" },
		{ "kernels/mine/bzImage" },
		{ "kernels/mine/bzImage.cmdline", "../../words" },
		{ "words", .text = "linked" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.3" },
		{ "kernels/vmlinuz-6.3.cmdline/" },
		{ "kernels/vmlinuz-6.3.cmdline/x" },
		{ "deep/linux" },
		{ "deep/linux.cmdline", .text = "deep" },
		{ "loader/entries/a.conf", .text = "linux deep/linux" },
		{ NULL },
	};
	static const char *const cases[][2] = {
		{ "/boot/vmlinuz-6.1", CONSOLES " boot" },
		{ "/kernels/bzImage", CONSOLES " bare" },
		{ "/kernels/mine/bzImage", CONSOLES " linked" },
		{ "/kernels/vmlinuz-6.2", CONSOLES },
		{ "/deep/linux", CONSOLES " deep" },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(entry_of(kernels, cases[i][0])->arguments,
				    cases[i][1]);
	assert_rejected(kernels, "/kernels/vmlinuz-6.3",
			"/kernels/vmlinuz-6.3.cmdline: leads to no file");
}

/* What GRUB would change on its way is no command line. */
static void bad_words(void **state)
{
	static const char *const cases[][2] = {
		{ "a='b'", "no '" },	  { "a\\b", "no \\" },
		{ "a\001b", "control" },  { "a=\"b", "quotes" },
		{ "\"", "quotes" },	  { "a=b\"c\"", "quotes" },
		{ "a=\"b\"c", "quotes" }, { "a\"b\"", "quotes" },
		{ "\x7f", "control" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .append = cases[i][0] };
		const struct file files[] = {
			{ "kernels/vmlinuz-6.1" },
			{ "kernels/vmlinuz-6.1.cmdline", .text = cases[i][0] },
			{ "kernels/vmlinuz-6.2" },
			{ NULL },
		};
		struct boot_kernels *kernels = find(files, NULL);
		struct diag diag = DIAG_INIT;

		assert_paths(kernels, PATHS("/kernels/vmlinuz-6.2"));
		assert_rejected(kernels, "/kernels/vmlinuz-6.1", cases[i][1]);
		assert_rejected(kernels, "/kernels/vmlinuz-6.1",
				"/kernels/vmlinuz-6.1.cmdline: ");
		boot_kernels_free(kernels);
		/* And of the user's own, not even without a kernel. */
		assert_int_equal(find_fails(files + 3, &options, &diag),
				 -EINVAL);
		assert_string_equal(diag.path, "--append");
		assert_non_null(strstr(diag.reason, cases[i][1]));
		diag_clear(&diag);
	}
}

static void bad_files(void **state)
{
	static const uint8_t zero[] = "a\0b";
	const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/vmlinuz-6.1.cmdline", .bytes = zero, .len = 3 },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.2.cmdline",
		  .bytes = calloc(1, (1 << 20) + 1), .len = (1 << 20) + 1 },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	free((void *)files[3].bytes);
	assert_paths(kernels, NO_PATHS);
	assert_rejected(kernels, "/kernels/vmlinuz-6.1", "zero byte");
	assert_rejected(kernels, "/kernels/vmlinuz-6.2",
			"1048577 bytes: 65536 at most");
}

static void assert_root(const struct file *init, bool expected)
{
	struct file files[8] = { { &KERNEL[1] } };
	_cleanup_free_ char *arguments = NULL;

	for (size_t i = 0; init[i].path; i++)
		files[i + 1] = init[i];
	arguments = arguments_of(files, NULL);
	if ((strstr(arguments, " root=PARTUUID=00000000-02 rw") != NULL) !=
	    expected)
		fail_msg("%s: %s", init[0].path, arguments);
}

/* A root file system is one with an init that can be run. */
static void root(void **state)
{
	static const struct file with[][6] = {
		{ { "sbin/init" }, { NULL } },
		{ { "etc/init" }, { NULL } },
		{ { "bin/init" }, { NULL } },
		{ { "sbin", "usr/sbin" },
		  { "usr/sbin/init", "/lib/systemd/systemd" },
		  { "lib", "usr/lib" },
		  { "usr/lib/systemd/systemd" },
		  { NULL } },
		{ { "bin/init", .mode = 0010 }, { NULL } },
	};
	static const struct file without[][3] = {
		{ { NULL } },
		{ { "sbin/init", .mode = 0644 }, { NULL } },
		{ { "sbin/init", "/etc/none" }, { NULL } },
		{ { "sbin/init", "init" }, { NULL } },
		{ { "sbin/init/x" }, { NULL } },
		{ { "init" }, { NULL } },
		{ { "boot/sbin/init" }, { NULL } },
	};

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		assert_root(with[i], true);
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		assert_root(without[i], false);
}

/* A user who says where the root is knows better, for that kernel. */
static void root_of_the_user(void **state)
{
	static const char *const words[] = { "root=/dev/ram0", "a root=x b",
					     "\"root=LABEL=a b\"" };
	static const char *const others[] = { "rootfstype=ext2", "xroot=a",
					      "a=\"b root=c\"" };

	for (size_t i = 0; i < 6; i++) {
		const char *text = i < 3 ? words[i] : others[i - 3];
		struct boot_options options = { .append = text };
		const struct file files[] = {
			{ &KERNEL[1] },
			{ "sbin/init" },
			{ "kernels/vmlinuz-6.2" },
			{ "kernels/vmlinuz-6.2.cmdline", .text = text },
			{ NULL },
		};
		struct boot_kernels *kernels = find(files, NULL);

		assert_non_null(strstr(entry_of(kernels, KERNEL)->arguments,
				       "PARTUUID"));
		assert_int_equal(
			strstr(entry_of(kernels, "/kernels/vmlinuz-6.2")
				       ->arguments,
			       "PARTUUID") != NULL,
			i >= 3);
		boot_kernels_free(kernels);
		kernels = find(files, &options);
		assert_int_equal(strstr(entry_of(kernels, KERNEL)->arguments,
					"PARTUUID") != NULL,
				 i >= 3);
		boot_kernels_free(kernels);
	}
}

/* The kernel's room is what its header says, to the byte. */
static void room(void **state)
{
	static const char path[] = "kernels/vmlinuz-6.1";
	/* BOOT_IMAGE=/PATH CONSOLES WORD single */
	size_t most = 2047 - strlen("BOOT_IMAGE=/") - strlen(path) -
		      strlen(" " CONSOLES " ") - strlen(" single");
	char word[2048];

	for (size_t n = most - 1; n <= most + 1; n++) {
		const struct file files[] = {
			{ path },
			{ "kernels/vmlinuz-6.1.cmdline", .text = word },
			{ "kernels/vmlinuz-6.2", .cmdline_size = 255 },
			{ "kernels/vmlinuz-6.3", .cmdline_size = 10 },
			{ NULL },
		};
		_cleanup_boot_ struct boot_kernels *kernels = NULL;
		char expected[64];

		memset(word, 'x', n);
		word[n] = '\0';
		kernels = find(files, NULL);
		if (n <= most) {
			entry_of(kernels, KERNEL);
			continue;
		}
		snprintf(expected, sizeof(expected), "has %u bytes", 2048);
		assert_rejected(kernels, KERNEL, expected);
		assert_rejected(kernels, KERNEL, "takes 2047");
		entry_of(kernels, "/kernels/vmlinuz-6.2");
		entry_of(kernels, "/kernels/vmlinuz-6.3");
	}
}

static void sizes(void **state)
{
	assert_int_equal(cmdline_size("/a", "b"), strlen("BOOT_IMAGE=/a b"));
	assert_int_equal(cmdline_size("/a", ""), strlen("BOOT_IMAGE=/a"));
	assert_int_equal(cmdline_size("/a b", "c"),
			 strlen("\"BOOT_IMAGE=/a b\" c"));
	assert_int_equal(cmdline_size("/a'b\"c\\d", "e"),
			 strlen("BOOT_IMAGE=/a\\'b\\\"c\\\\d e"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(consoles),
		cmocka_unit_test(precedence),
		cmocka_unit_test(files_of_words),
		cmocka_unit_test(places),
		cmocka_unit_test(bad_words),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(root),
		cmocka_unit_test(root_of_the_user),
		cmocka_unit_test(room),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
