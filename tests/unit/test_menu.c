/* SPDX-License-Identifier: GPL-3.0-or-later */
/* grub.cfg: what is in it, and that no name can become a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/io.h"
#include "base/quote.h"
#include "boot_tree.h"

extern char **environ;

static int menu_of(const struct file *files, const struct boot_options *options,
		   char **ret_text, struct diag *diag)
{
	_cleanup_boot_ struct boot_kernels *kernels = find(files, options);
	size_t len = 0;
	int r = boot_menu(kernels, options, ret_text, &len, diag);

	if (r == 0)
		assert_int_equal(len, strlen(*ret_text));
	return r;
}

/* GRUB's own parser takes it. */
static void assert_parses(const char *text)
{
	_cleanup_close_ int fd = memfd_create("grub.cfg", 0);
	char path[64];
	char check[] = "grub-script-check";
	char *argv[] = { check, path, NULL };
	int status;
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(io_pwrite(fd, text, strlen(text), 0), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(posix_spawnp(&pid, check, NULL, NULL, argv, environ),
			 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct file no_files[] = { { NULL } };
static const struct file one_file[] = { { "kernels/vmlinuz-6.1" }, { NULL } };

static void whole_menu(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "kernels/bzImage", .version = "6.2 x" },
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/initrd.img-6.1" },
		{ "kernels/modules-6.1" },
		{ NULL },
	};
	static const struct boot_options options = {
		.timeout = 2,
		.append = "quiet root=/dev/ram0",
	};
	static const char expected[] =
		"if serial --unit=0 --speed=115200; then\n"
		"\t# Not twice, where the BIOS has its screen there too.\n"
		"\tread_word -v segment 0x42\n"
		"\tif regexp '^(f000|c[89a-f]..|d...)$' \"$segment\"; then\n"
		"\t\tterminal_input serial\n"
		"\t\tterminal_output serial\n"
		"\telse\n"
		"\t\tterminal_input serial console\n"
		"\t\tterminal_output serial console\n"
		"\tfi\n"
		"fi\n"
		"set timeout=2\n"
		"set default=0\n"
		"# The disk that this file is on.\n"
		"set drive=hd0\n"
		"regexp --set=1:drive '^[(]([^,)]*)' \"$config_directory\"\n"
		"menuentry 'Linux 6.2 (bzImage)' --id gnulinux-6.2 {\n"
		"\techo 'Loading Linux 6.2 ...'\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/bzImage console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0\n"
		"}\n"
		"menuentry 'Linux 6.2 (bzImage) (recovery)'"
		" --id gnulinux-6.2-recovery {\n"
		"\techo 'Loading Linux 6.2 ...'\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/bzImage console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0 single\n"
		"}\n"
		"menuentry 'Linux 6.1' --id gnulinux-6.1 {\n"
		"\techo 'Loading Linux 6.1 ...'\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/vmlinuz-6.1 console=tty0"
		" console=ttyS0,115200 quiet root=/dev/ram0\n"
		"\tinitrd /kernels/initrd.img-6.1 /kernels/modules-6.1\n"
		"}\n"
		"menuentry 'Linux 6.1 (recovery)' --id gnulinux-6.1-recovery {\n"
		"\techo 'Loading Linux 6.1 ...'\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/vmlinuz-6.1 console=tty0"
		" console=ttyS0,115200 quiet root=/dev/ram0 single\n"
		"\tinitrd /kernels/initrd.img-6.1 /kernels/modules-6.1\n"
		"}\n"
		"menuentry 'Linux 6.1 (partition 1: /boot/vmlinuz-6.1)'"
		" --id 'gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)' {\n"
		"\techo 'Loading Linux 6.1 ...'\n"
		"\tset root=\"$drive,msdos1\"\n"
		"\tlinux /boot/vmlinuz-6.1 console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0\n"
		"}\n"
		"menuentry 'Linux 6.1 (partition 1: /boot/vmlinuz-6.1)"
		" (recovery)'"
		" --id 'gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)"
		"-recovery' {\n"
		"\techo 'Loading Linux 6.1 ...'\n"
		"\tset root=\"$drive,msdos1\"\n"
		"\tlinux /boot/vmlinuz-6.1 console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0 single\n"
		"}\n"
		"if [ -f \"$config_directory/custom.cfg\" ]; then\n"
		"\tsource \"$config_directory/custom.cfg\"\n"
		"elif [ -z \"$config_directory\" -a -f \"$prefix/custom.cfg\" ];"
		" then\n"
		"\tsource \"$prefix/custom.cfg\"\n"
		"fi\n";
	_cleanup_free_ char *text = NULL;

	assert_int_equal(menu_of(files, &options, &text, NULL), 0);
	assert_string_equal(text, expected);
	assert_parses(text);
}

static void consoles(void **state)
{
	static const struct {
		enum boot_console console;
		const char *input;
		const char *arguments;
		bool serial;
	} cases[] = {
		{ BOOT_CONSOLE_BOTH, "terminal_input serial console\n",
		  "6.1 console=tty0 console=ttyS0,115200\n", true },
		{ BOOT_CONSOLE_SERIAL, "terminal_input serial\n",
		  "6.1 console=ttyS0,115200\n", true },
		{ BOOT_CONSOLE_VGA, "terminal_input console\n",
		  "6.1 console=tty0\n", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .console = cases[i].console };
		_cleanup_free_ char *text = NULL;

		assert_int_equal(menu_of(one_file, &options, &text, NULL), 0);
		assert_non_null(strstr(text, cases[i].input));
		assert_non_null(strstr(text, cases[i].arguments));
		assert_int_equal(strstr(text, "serial --unit") != NULL,
				 cases[i].serial);
		assert_parses(text);
	}
}

static void timeouts(void **state)
{
	static const int timeouts[] = { -1, 0, 2, 100000 };

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		struct boot_options options = { .timeout = timeouts[i] };
		_cleanup_free_ char *text = NULL;
		char line[32];

		snprintf(line, sizeof(line), "set timeout=%d\n", timeouts[i]);
		assert_int_equal(menu_of(one_file, &options, &text, NULL), 0);
		assert_non_null(strstr(text, line));
	}
}

static void no_kernel_is_the_prompt(void **state)
{
	static const struct boot_options options = { .timeout = 2 };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(menu_of(no_files, &options, &text, NULL), 0);
	assert_non_null(strstr(text, "terminal_output serial console\n"));
	assert_non_null(strstr(text, "custom.cfg"));
	assert_null(strstr(text, "menuentry"));
	assert_null(strstr(text, "timeout"));
	assert_parses(text);
}

/* Wherever it stood, it is on top. */
static void default_is_the_first(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.3" },
		{ NULL },
	};
	static const struct boot_options options = { .default_entry = "6.1" };
	_cleanup_free_ char *text = NULL;
	const char *first, *second, *third;

	assert_int_equal(menu_of(files, &options, &text, NULL), 0);
	assert_non_null(strstr(text, "set default=0\n"));
	first = strstr(text, "menuentry 'Linux 6.1' ");
	second = strstr(text, "menuentry 'Linux 6.3' ");
	third = strstr(text, "menuentry 'Linux 6.2' ");
	assert_true(first && first < second && second < third);
}

static void default_unknown(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/bzImage" },
		{ "kernels/mine/vmlinuz" },
		{ NULL },
	};
	static const char *const names[] = {
		"6.2", "", "gnulinux-", "6", "0", "min", "mine/", "mine/bzImage"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct boot_options options = { .default_entry = names[i] };

		for (int none = 0; none < 2; none++) {
			struct diag diag = DIAG_INIT;
			char path[32];
			char *text;

			snprintf(path, sizeof(path), "--default=%s", names[i]);
			assert_int_equal(menu_of(none ? no_files : files,
						 &options, &text, &diag),
					 -EINVAL);
			assert_string_equal(diag.path, path);
			assert_non_null(strstr(diag.reason,
					       none ? "no kernel at all"
						    : "bzImage, vmlinuz, 6.1"));
			diag_clear(&diag);
		}
	}
}

/* Takes one word of a GRUB script apart, as its lexer does. */
static char *unquote(const char *word, char *out)
{
	while (*word) {
		if (*word == '\'') {
			const char *end = strchr(word + 1, '\'');

			assert_non_null(end);
			out = mempcpy(out, word + 1, (size_t)(end - word - 1));
			word = end + 1;
			continue;
		}
		if (*word == '\\')
			word++;
		else
			assert_null(strchr(" \t\n\"${}();<>|&*?[]#!~`", *word));
		*out++ = *word++;
	}
	*out = '\0';
	return out;
}

static const char *const nasty[] = {
	"q'uote",
	"'",
	"''",
	"d\"quote",
	"$root",
	"$(x)${y}",
	"semi;halt",
	"br{ace}",
	"}",
	"new\nline",
	"new\n}\nhalt\n'x",
	"back\\slash",
	"bs\\",
	"bs\\'",
	"a b",
	"tab\tx",
	"uml\xc3\xa4\xff",
	"star*?[a-z]",
	"\001ctl\177",
	"#hash",
	"a>b",
	"`!|&<(~",
	"--help",
};
#define N_NASTY (sizeof(nasty) / sizeof(nasty[0]))

static void words_keep_their_bytes(void **state)
{
	for (size_t i = 0; i < N_NASTY; i++) {
		_cleanup_free_ char *word = NULL;
		char back[64];
		size_t len;
		FILE *f = open_memstream(&word, &len);

		quote_word(f, nasty[i]);
		assert_int_equal(fclose(f), 0);
		unquote(word, back);
		assert_string_equal(back, nasty[i]);
	}
}

static void shown_is_printable(void **state)
{
	_cleanup_free_ char *shown = escape_text("a\n\\\x7f\xff'b", ESCAPE_ALL);

	assert_string_equal(shown, "a\\x0a\\x5c\\x7f\\xff'b");
}

/* In names of kernels, initrds and directories, titles, versions: data. */
static void nasty_names(void **state)
{
	static const struct boot_options options = { .timeout = 2 };
	static char paths[6][N_NASTY][80];
	struct file files[6 * N_NASTY + 1] = { { NULL } };
	_cleanup_free_ char *text = NULL;
	unsigned entries = 0;
	size_t n = 0;

	for (size_t i = 0; i < N_NASTY; i++) {
		static const char *const around[][2] = {
			{ "kernels/vmlinuz-", "" },
			{ "kernels/initrd.img-", "" },
			{ "kernels/", "/bzImage" },
			{ "kernels/", "/initrd" },
			{ "", "" },
			{ "loader/entries/", ".conf" },
		};

		for (size_t k = 0; k < 6; k++) {
			snprintf(paths[k][i], 80, "%s%s%s", around[k][0],
				 nasty[i], around[k][1]);
			files[n++].path = paths[k][i];
		}
		files[n - 4].version = nasty[i];
	}
	for (size_t i = 0; i < N_NASTY; i++) {
		char *entry;

		/* A newline ends a value of an entry. */
		if (strpbrk(nasty[i], "\n\t") ||
		    asprintf(&entry, "linux /%s\ntitle %s\nversion %s\n",
			     nasty[i], nasty[i], nasty[i]) < 0)
			entry = strdup("");
		files[6 * i + 5].text = entry;
	}
	assert_int_equal(menu_of(files, &options, &text, NULL), 0);
	for (size_t i = 0; i < N_NASTY; i++)
		free((char *)files[6 * i + 5].text);
	assert_parses(text);
	for (const char *p = text; (p = strstr(p, "\nmenuentry ")); p++)
		entries++;
	assert_int_equal(entries, 2 * (3 * N_NASTY - 3));
}

static void append_is_split_as_the_kernel_does(void **state)
{
	static const char *const cases[][2] = {
		{ "", "115200\n" },
		{ "  ", "115200\n" },
		{ " a  b ", "115200 a b\n" },
		{ "a=\"b c\" d", "115200 'a=b c' d\n" },
		{ "\"a=b c\" d", "115200 'a=b c' d\n" },
		{ "a=\"b\"", "115200 a=b\n" },
		{ "a=$b;c", "115200 'a=$b;c'\n" },
		{ "a=[*?]", "115200 'a=[*?]'\n" },
		{ "-- single", "115200 -- single\n" },
		{ "x=\xc3\xa4", "115200 'x=\xc3\xa4'\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .append = cases[i][0] };
		_cleanup_free_ char *text = NULL;

		assert_int_equal(menu_of(one_file, &options, &text, NULL), 0);
		if (!strstr(text, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], text);
		assert_parses(text);
	}
}

/* The signature replaces zeros in whole words, and nothing else. */
static void signature(void **state)
{
#define ZEROS  "root=PARTUUID=00000000-02"
#define SIGNED "root=PARTUUID=0badcafe-02"
	static const char *const cases[][2] = {
		{ "a " ZEROS " b", "115200 a " SIGNED " b" },
		{ ZEROS, "115200 " SIGNED },
		{ "x \"" ZEROS "\"   " ZEROS, "115200 x " SIGNED " " SIGNED },
		{ "root=\"PARTUUID=00000000-02\"", "115200 " SIGNED },
		{ "x" ZEROS, NULL },
		{ ZEROS "1", NULL },
		{ "root=PARTUUID=00000000-0", NULL },
		{ "\" " ZEROS " \"", NULL },
		{ "a=\"" ZEROS "\"", NULL },
		{ "a=\"b " ZEROS "\"", NULL },
		{ "a=\"b " ZEROS " \"", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .append = cases[i][0] };
		_cleanup_boot_ struct boot_kernels *kernels = find(one_file,
								   &options);
		_cleanup_free_ char *arguments = NULL;
		_cleanup_free_ char *text = NULL;
		const struct boot_entry *entry;
		size_t len;

		assert_int_equal(boot_entries(kernels, &entry), 1);
		arguments = strdup(entry->arguments);
		boot_entry_sign(entry, arguments, 0x0badcafe);
		/* The menu made last has the placeholders. */
		for (unsigned k = 0; k < 2; k++) {
			free(text);
			assert_int_equal(
				boot_menu(kernels, &options, &text, &len, NULL),
				0);
		}
		boot_menu_sign(kernels, text, 0x0badcafe);
		assert_int_equal(strlen(text), len);
		if (!cases[i][1]) {
			assert_null(strstr(text, "badcafe"));
			assert_string_equal(arguments, entry->arguments);
			continue;
		}
		assert_non_null(strstr(text, cases[i][1]));
		assert_non_null(strstr(arguments, cases[i][1]));
		assert_null(strstr(text, ZEROS));
		assert_null(strstr(arguments, ZEROS));
	}
}

/* Two of one kernel that is called for both, and none in its title and path. */
static void signature_of_a_menu(void **state)
{
	static const struct boot_options options = { 0 };
	static const struct file files[] = {
		{ "sbin/init" },
		{ "kernels/vmlinuz- root=PARTUUID=00000000-02 x" },
		{ "loader/entries/a.conf",
		  .text = "linux /kernels/vmlinuz- root=PARTUUID=00000000-02 x\n"
			  "title root=PARTUUID=00000000-02\n" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, &options);
	_cleanup_free_ char *text = NULL;
	unsigned zeros = 0, digits = 0;
	size_t len;

	assert_int_equal(boot_menu(kernels, &options, &text, &len, NULL), 0);
	boot_menu_sign(kernels, text, 0xffeeddcc);
	assert_int_equal(strlen(text), len);
	for (const char *p = text; (p = strstr(p, "PARTUUID=00000000")); p++)
		zeros++;
	for (const char *p = text; (p = strstr(p, "PARTUUID=ffeeddcc")); p++)
		digits++;
	assert_int_equal(digits, 2);
	/* Title, id, what is loading and path, of both entries. */
	assert_int_equal(zeros, 8);
	assert_parses(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_menu),
		cmocka_unit_test(consoles),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(no_kernel_is_the_prompt),
		cmocka_unit_test(default_is_the_first),
		cmocka_unit_test(default_unknown),
		cmocka_unit_test(words_keep_their_bytes),
		cmocka_unit_test(shown_is_printable),
		cmocka_unit_test(nasty_names),
		cmocka_unit_test(append_is_split_as_the_kernel_does),
		cmocka_unit_test(signature),
		cmocka_unit_test(signature_of_a_menu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
