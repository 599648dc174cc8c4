/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees of random names and texts: whatever is in them, what was found is
 * there, no two entries are called the same, and GRUB's own parser takes the
 * menu.
 */
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

#include "../support/seeds.h"
#include "base/io.h"
#include "boot/cmdline.h"
#include "boot/lookup.h"
#include "boot_tree.h"

#define FILES_MAX 40
#define TEXT_LEN  400
#define PICK(list, dice) \
	(list)[(unsigned)rand_r(dice) % (sizeof(list) / sizeof((list)[0]))]

extern char **environ;

static const char *const starts[] = {
	"vmlinuz",     "vmlinuz-", "vmlinuz-",	"kernel-", "bzImage",
	"initrd.img-", "initrd",   "initramfs", "modules", "modules-",
	"initrd-",     "README",   "vmlinux",	"",
};
static const char *const middles[] = {
	"6.1",	"6.2",	 "6.1", "-rc1", ".old", "'",  "\"",	"$x",	";",
	"\n",	"\r",	 "\\",	"{",	"}",	" ",  "\xff",	"\001", "x",
	"6.10", "(y)",	 "*",	"#",	"lts",	"-",  "+",	"|",	"`",
	">",	"root=", "~",	"\t",	"[a]",	"&&", "linux-",
};
static const char *const ends[] = {
	"", "", "", "", ".img", ".d", ".gz", ".cmdline", ".sig", ".dpkg-new",
};
static const char *const dirs[] = {
	"kernels/", "kernels/", "kernels/", "kernels/a/",      "kernels/6.1=/",
	"boot/",    "boot/",	"x/",	    "kernels/q'$;\n/",
};
static const char *const entry_dirs[] = {
	"loader/entries/",
	"boot/loader/entries/",
};
static const char *const keys[] = {
	"title ",    "version ",  "linux /kernels/vmlinuz-", "initrd /x/",
	"options ",  "sort-key ", "linux kernels/bzImage",   "\n",
	"linux /x/", "linux /",	  "architecture x64\n",	     "efi ",
};
static const char *const words[] = {
	"quiet",  " ",	 "a=",	    "\"", "b c", "\n", "'",	  "\\",
	"root=x", "$y;", "\"d e\"", "--", "\r",	 "{}", "single ", "\xff",
};

/* One file's name and what is in it. */
struct random_file {
	char path[200];
	char text[TEXT_LEN];
	uint8_t *kernel;
};

static void append(char *text, size_t size, const char *more)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s", more);
}

static void random_name(char *path, size_t size, unsigned *dice)
{
	unsigned n = (unsigned)rand_r(dice) % 4;

	append(path, size, PICK(starts, dice));
	while (n--)
		append(path, size, PICK(middles, dice));
	append(path, size, PICK(ends, dice));
}

static void random_text(char *text, bool entry, unsigned *dice)
{
	unsigned n = (unsigned)rand_r(dice) % 12;

	while (n--) {
		if (entry)
			append(text, TEXT_LEN, PICK(keys, dice));
		append(text, TEXT_LEN,
		       rand_r(dice) % 2 ? PICK(words, dice)
					: PICK(middles, dice));
		if (entry && rand_r(dice) % 2)
			append(text, TEXT_LEN, "\n");
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* Fills one; the next would be of the same path: that one is not used. */
static struct file random_file(struct random_file *r, unsigned *dice)
{
	struct file file = { .path = r->path };
	bool entry = rand_r(dice) % 4 == 0;

	*r = (struct random_file){ 0 };
	append(r->path, sizeof(r->path),
	       entry ? PICK(entry_dirs, dice) : PICK(dirs, dice));
	random_name(r->path, sizeof(r->path), dice);
	if (entry)
		append(r->path, sizeof(r->path), ".conf");
	if (ends_with(r->path, "/"))
		append(r->path, sizeof(r->path), "file");
	if (!entry && rand_r(dice) % 8 == 0) {
		random_name(r->text, sizeof(r->text), dice);
		file.target = *r->text ? r->text : "x";
	} else if (entry || ends_with(r->path, ".cmdline")) {
		random_text(r->text, entry, dice);
		file.text = r->text;
	} else if (rand_r(dice) % 4 == 0) {
		file.bytes = r->kernel = kernel_bytes("6.1 x", 3000, &file.len);
		file.len = (unsigned)rand_r(dice) % (file.len + 1);
	} else {
		file.version = rand_r(dice) % 2 ? "6.1 x" : "q'$;\n x";
	}
	return file;
}

/* A random set of files, up to one without a path; no two of one path. */
static void random_files(struct file *files, struct random_file *random,
			 unsigned *dice)
{
	size_t n = 0;

	for (unsigned i = 0; i < FILES_MAX; i++) {
		bool known = false;

		files[n] = random_file(&random[n], dice);
		for (size_t k = 0; k < n && !known; k++)
			known = strcmp(files[k].path, files[n].path) == 0;
		if (known)
			free(random[n].kernel);
		else
			n++;
	}
	files[n] = (struct file){ 0 };
}

/* GRUB can read the file, and knows what it is called. */
static void assert_there(const struct tree *tree, const char *path)
{
	struct lookup_file file;

	if (!lookup_file(tree, path, &file) || strchr(path, '\r'))
		fail_msg("not there: %s", path);
}

static void assert_entry(const struct tree *tree, const struct boot_entry *e)
{
	_cleanup_free_ char *reason = NULL;

	assert_there(tree, e->path);
	for (size_t i = 0; i < e->n_initrds; i++)
		assert_there(tree, e->initrds[i]);
	assert_int_equal(cmdline_check(e->arguments, &reason), 0);
	assert_null(reason);
	for (const char *c = e->title; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
	for (const char *c = e->id; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
}

/* Both trees are one here: no path of one is in the other. */
static void assert_kernels(const struct tree *tree,
			   const struct boot_kernels *kernels)
{
	const struct boot_entry *entries;
	const struct boot_reject *rejects;
	size_t n = boot_entries(kernels, &entries);
	size_t n_rejects = boot_rejects(kernels, &rejects);

	for (size_t i = 0; i < n; i++) {
		assert_entry(tree, &entries[i]);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(entries[i].id, entries[k].id);
			assert_string_not_equal(entries[i].title,
						entries[k].title);
		}
	}
	for (size_t i = 1; i < n_rejects; i++)
		assert_true(strcmp(rejects[i - 1].path, rejects[i].path) < 0);
}

/* Keeps what grub-script-check says of each out of the way. */
static void check_menus(int fd, size_t len)
{
	char path[64];
	char check[] = "grub-script-check";
	char *argv[] = { check, path, NULL };
	int status;
	pid_t pid;

	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(posix_spawnp(&pid, check, NULL, NULL, argv, environ),
			 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Adds the menu to those in fd, which GRUB's parser sees all at once. */
static size_t add_menu(int fd, size_t offset, struct boot_kernels *kernels)
{
	static const struct boot_options options = { 0 };
	const struct boot_entry *entries;
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(boot_menu(kernels, &options, &text, &len, NULL), 0);
	boot_menu_sign(kernels, text, 0x12345678);
	assert_int_equal(strlen(text), len);
	assert_true(count(text, "\nmenuentry '") >=
		    2 * boot_entries(kernels, &entries));
	assert_int_equal(io_pwrite(fd, text, len, offset), 0);
	return offset + len;
}

static void one_tree(unsigned *dice, int fd, size_t *len)
{
	static const struct boot_options by_time = {
		.order = BOOT_ORDER_MTIME,
		.default_entry = "6.1",
		.append = "x",
	};
	struct random_file random[FILES_MAX];
	struct file files[FILES_MAX + 1];
	struct boot_kernels *kernels;
	struct tree *tree;
	char *table;

	random_files(files, random, dice);
	tree = files_tree(files);
	kernels = find(files, rand_r(dice) % 2 ? NULL : &by_time);
	assert_kernels(tree, kernels);
	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &table), 0);
	free(table);
	boot_kernels_free(kernels);
	kernels = find(files, NULL);
	*len = add_menu(fd, *len, kernels);
	boot_kernels_free(kernels);
	tree_free(tree);
	for (size_t i = 0; files[i].path; i++)
		free(random[i].kernel);
}

static void random_trees(void **state)
{
	unsigned seed = (unsigned)seed_draw();
	_cleanup_close_ int fd = memfd_create("grub.cfg", 0);

	assert_true(fd >= 0);
	for (unsigned i = 0; i < 100; i++) {
		size_t len = 0;
		unsigned dice = seed + i;

		print_message("# tree %u\n", i);
		for (unsigned k = 0; k < 20; k++)
			one_tree(&dice, fd, &len);
		check_menus(fd, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
