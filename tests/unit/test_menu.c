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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "boot/quote.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"

extern char **environ;

/* A tree of empty files `names` in one directory. */
static struct tree *tree_of(const char *dir, const char *const *names)
{
	static const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	static const struct tree_attr file = { .mode = S_IFREG | 0644 };
	struct tree_builder *builder;
	struct tree *tree;
	builder_id parent, id;

	assert_int_equal(tree_builder_new(&builder, &root), 0);
	assert_int_equal(tree_builder_mkdirs(builder, 0, dir, &root, &parent),
			 0);
	for (; *names; names++)
		assert_int_equal(tree_builder_add(builder, parent, *names,
						  strlen(*names), &file, &id),
				 0);
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	return tree;
}

static int menu_of(const char *const *boot, const char *const *kernels,
		   const struct boot_options *options, char **ret_text,
		   struct diag *diag)
{
	struct tree *boot_tree = tree_of("boot", boot);
	struct tree *system_tree = tree_of("kernels", kernels);
	size_t len = 0;
	int r = boot_menu(boot_tree, system_tree, options, ret_text, &len,
			  diag);

	if (r == 0)
		assert_int_equal(len, strlen(*ret_text));
	tree_free(boot_tree);
	tree_free(system_tree);
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

static const char *const no_files[] = { NULL };

static void whole_menu(void **state)
{
	static const char *const boot[] = { "vmlinuz-6.1", NULL };
	static const char *const kernels[] = {
		"vmlinuz-6.1",
		"bzImage",
		"initrd.img-6.1",
		NULL,
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
		"menuentry 'Linux bzImage' --id gnulinux-bzImage {\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/bzImage console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0\n"
		"}\n"
		"menuentry 'Linux 6.1' --id gnulinux-6.1 {\n"
		"\tset root=\"$drive,msdos2\"\n"
		"\tlinux /kernels/vmlinuz-6.1 console=tty0"
		" console=ttyS0,115200 quiet root=/dev/ram0\n"
		"\tinitrd /kernels/initrd.img-6.1\n"
		"}\n"
		"menuentry 'Linux 6.1 (partition 1: /boot/vmlinuz-6.1)'"
		" --id 'gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)' {\n"
		"\tset root=\"$drive,msdos1\"\n"
		"\tlinux /boot/vmlinuz-6.1 console=tty0 console=ttyS0,115200"
		" quiet root=/dev/ram0\n"
		"}\n";
	_cleanup_free_ char *text = NULL;

	assert_int_equal(menu_of(boot, kernels, &options, &text, NULL), 0);
	assert_string_equal(text, expected);
	assert_parses(text);
}

static void consoles(void **state)
{
	static const char *const kernels[] = { "vmlinuz-6.1", NULL };
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

		assert_int_equal(
			menu_of(no_files, kernels, &options, &text, NULL), 0);
		assert_non_null(strstr(text, cases[i].input));
		assert_non_null(strstr(text, cases[i].arguments));
		assert_int_equal(strstr(text, "serial --unit") != NULL,
				 cases[i].serial);
		assert_parses(text);
	}
}

static void timeouts(void **state)
{
	static const char *const kernels[] = { "vmlinuz-6.1", NULL };
	static const int timeouts[] = { -1, 0, 2, 100000 };

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		struct boot_options options = { .timeout = timeouts[i] };
		_cleanup_free_ char *text = NULL;
		char line[32];

		snprintf(line, sizeof(line), "set timeout=%d\n", timeouts[i]);
		assert_int_equal(
			menu_of(no_files, kernels, &options, &text, NULL), 0);
		assert_non_null(strstr(text, line));
	}
}

static void no_kernel_is_the_prompt(void **state)
{
	static const struct boot_options options = { .timeout = 2 };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(menu_of(no_files, no_files, &options, &text, NULL), 0);
	assert_non_null(strstr(text, "terminal_output serial console\n"));
	assert_null(strstr(text, "menuentry"));
	assert_null(strstr(text, "timeout"));
	assert_parses(text);
}

/* A version, a file's name, a path, an id: all find the entry. */
static void default_by_any_name(void **state)
{
	static const char *const boot[] = { "vmlinuz-6.1", NULL };
	static const char *const kernels[] = { "vmlinuz-6.1", "kernel-6.0",
					       "bzImage", NULL };
	static const struct {
		const char *name;
		const char *line;
	} cases[] = {
		{ NULL, "set default=0\n" },
		{ "bzImage", "set default=0\n" },
		{ "6.1", "set default=1\n" },
		{ "vmlinuz-6.1", "set default=1\n" },
		{ "boot/vmlinuz-6.1", "set default=2\n" },
		{ "/boot/vmlinuz-6.1", "set default=2\n" },
		{ "gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)",
		  "set default=2\n" },
		{ "kernel-6.0", "set default=3\n" },
		{ "gnulinux-6.0", "set default=3\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = {
			.default_entry = cases[i].name,
		};
		_cleanup_free_ char *text = NULL;

		assert_int_equal(menu_of(boot, kernels, &options, &text, NULL),
				 0);
		assert_non_null(strstr(text, cases[i].line));
	}
}

static void assert_refused(const char *const *kernels,
			   const struct boot_options *options, const char *path,
			   const char *word)
{
	struct diag diag = DIAG_INIT;
	char *text = NULL;

	assert_int_equal(menu_of(no_files, kernels, options, &text, &diag),
			 -EINVAL);
	assert_null(text);
	assert_string_equal(diag.path, path);
	if (!strstr(diag.reason, word))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, word);
	diag_clear(&diag);
}

static void default_unknown(void **state)
{
	static const char *const kernels[] = { "vmlinuz-6.1", "bzImage", NULL };
	static const char *const names[] = { "6.2", "", "gnulinux-", "6", "0" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct boot_options options = { .default_entry = names[i] };
		char path[32];

		snprintf(path, sizeof(path), "--default=%s", names[i]);
		assert_refused(kernels, &options, path, "bzImage, 6.1");
		assert_refused(no_files, &options, path, "no kernel");
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
	_cleanup_free_ char *shown = quote_shown("a\n\\\x7f\xff'b");

	assert_string_equal(shown, "a\\x0a\\x5c\\x7f\\xff'b");
}

static void nasty_names(void **state)
{
	static const struct boot_options options = { .timeout = 2 };
	char names[2 * N_NASTY][64];
	const char *files[2 * N_NASTY + 1] = { NULL };
	_cleanup_free_ char *text = NULL;
	unsigned entries = 0;

	for (size_t i = 0; i < N_NASTY; i++) {
		files[2 * i] = names[2 * i];
		files[2 * i + 1] = names[2 * i + 1];
		snprintf(names[2 * i], 64, "vmlinuz-%s", nasty[i]);
		snprintf(names[2 * i + 1], 64, "initrd.img-%s", nasty[i]);
	}
	assert_int_equal(menu_of(no_files, files, &options, &text, NULL), 0);
	assert_parses(text);
	for (const char *p = text; (p = strstr(p, "\nmenuentry ")); p++)
		entries++;
	assert_int_equal(entries, N_NASTY);
}

static void append_is_split_as_the_kernel_does(void **state)
{
	static const char *const kernels[] = { "vmlinuz-6.1", NULL };
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

		assert_int_equal(
			menu_of(no_files, kernels, &options, &text, NULL), 0);
		if (!strstr(text, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], text);
		assert_parses(text);
	}
}

static void append_that_grub_cannot_pass(void **state)
{
	static const char *const cases[][2] = {
		{ "a='b'", "'" },	  { "a\\b", "\\" },
		{ "a\nb", "control" },	  { "a\tb", "control" },
		{ "a=\"b", "quotes" },	  { "\"", "quotes" },
		{ "a=b\"c\"", "quotes" }, { "a=\"b\"c", "quotes" },
		{ "a\"b\"", "quotes" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .append = cases[i][0] };

		assert_refused(no_files, &options, "--append", cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_menu),
		cmocka_unit_test(consoles),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(no_kernel_is_the_prompt),
		cmocka_unit_test(default_by_any_name),
		cmocka_unit_test(default_unknown),
		cmocka_unit_test(words_keep_their_bytes),
		cmocka_unit_test(shown_is_printable),
		cmocka_unit_test(nasty_names),
		cmocka_unit_test(append_is_split_as_the_kernel_does),
		cmocka_unit_test(append_that_grub_cannot_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
