/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees that somebody made to keep the program busy: each of these costs
 * minutes where time grows with the square of what there is, and seconds where
 * it does not. What is too much is named.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/devices.h"
#include "base/math.h"
#include "boot_tree.h"
#include "image/archives.h"
#include "imgcore/archive.h"

#define MANY 100000u
/* Of this process' time: others may have the processor. */
#define SECONDS 30

static const struct tree_attr dir_attr = { .mode = S_IFDIR | 0755 };
static const struct tree_attr file_attr = { .mode = S_IFREG | 0644 };

DEFINE_CLEANUP(struct tree, tree_free)
#define _cleanup_tree_ _cleanup_(tree_freep)

/* ---- the deadline ---- */

static clock_t started;

static int start_clock(void **state)
{
	started = clock();
	alarm(300);
	return 0;
}

static int stop_clock(void **state)
{
	double seconds = (double)(clock() - started) / CLOCKS_PER_SEC;

	alarm(0);
	print_message("# %.2f s\n", seconds);
	return seconds < SECONDS ? 0 : -1;
}

/* ---- trees ---- */

static builder_id add_dir(struct tree_builder *b, builder_id parent,
			  const char *name)
{
	builder_id id;

	assert_int_equal(
		tree_builder_add(b, parent, name, strlen(name), &dir_attr, &id),
		0);
	return id;
}

static struct tree_builder *builder_new(void)
{
	struct tree_builder *b;

	assert_int_equal(tree_builder_new(&b, &dir_attr), 0);
	return b;
}

static struct tree *tree_of(struct tree_builder *b)
{
	struct tree *tree;

	assert_int_equal(tree_build(b, &tree, NULL), 0);
	tree_builder_free(b);
	return tree;
}

/* Content that many files share, and that nobody frees. */
struct bytes {
	struct content content;
	const uint8_t *bytes;
	size_t len;
};

static int shared_pread(struct content *content,
			const struct content_reader *reader, void *buf,
			size_t len, uint64_t offset)
{
	memcpy(buf, ((struct bytes *)content)->bytes + offset, len);
	return 0;
}

static void shared_release(struct content *content)
{
}

static struct bytes bytes_of(const void *bytes, size_t len)
{
	return (struct bytes){ { shared_pread, shared_release }, bytes, len };
}

__attribute__((format(printf, 4, 5))) static void add_shared(
	struct tree_builder *b, builder_id parent, struct bytes *bytes,
	const char *format, ...)
{
	char name[256];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	assert_int_equal(tree_builder_add_content(b, parent, name, &file_attr,
						  &bytes->content, bytes->len,
						  NULL),
			 0);
}

static void add_text(struct tree_builder *b, builder_id parent,
		     const char *name, const char *text)
{
	struct content *content;

	assert_int_equal(content_new_bytes(&content, text, strlen(text)), 0);
	assert_int_equal(tree_builder_add_content(b, parent, name, &file_attr,
						  content, strlen(text), NULL),
			 0);
}

/*
 * A tree to boot from with the directory kernels/ in it, and a kernel and an
 * empty file, which all names may share.
 */
struct system {
	struct tree_builder *builder;
	builder_id kernels;
	struct bytes kernel;
	struct bytes empty;
};

static void system_begin(struct system *s)
{
	size_t len;
	uint8_t *bytes = kernel_bytes(NULL, 0, &len);

	s->builder = builder_new();
	s->kernels = add_dir(s->builder, 0, "kernels");
	s->kernel = bytes_of(bytes, len);
	s->empty = bytes_of("", 0);
}

/* What there is to boot; ends the system. */
static struct boot_kernels *system_find(struct system *s)
{
	static const struct boot_options options = { 0 };
	_cleanup_tree_ struct tree *boot = tree_of(builder_new());
	_cleanup_tree_ struct tree *system = tree_of(s->builder);
	struct boot_kernels *kernels;

	assert_int_equal(boot_find(&kernels, boot, system, &options, NULL), 0);
	free((void *)s->kernel.bytes);
	return kernels;
}

/* How many files are left out for a reason with this text. */
static size_t rejected(const struct boot_kernels *kernels, const char *text)
{
	const struct boot_reject *rejects;
	size_t n = boot_rejects(kernels, &rejects);
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += strstr(rejects[i].reason, text) != NULL;
	return found;
}

static size_t in_menu(struct boot_kernels *kernels)
{
	const struct boot_entry *entries;

	return boot_entries(kernels, &entries);
}

static size_t menu_size(struct boot_kernels *kernels)
{
	static const struct boot_options options = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(boot_menu(kernels, &options, &text, &len, NULL), 0);
	return len;
}

/* ---- kernels ---- */

static void kernels_with_initrds(void **state)
{
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	_cleanup_free_ char *table = NULL;
	const struct boot_entry *entries;

	system_begin(&s);
	for (unsigned i = 0; i < MANY; i++) {
		add_shared(s.builder, s.kernels, &s.kernel, "vmlinuz-%u", i);
		add_shared(s.builder, s.kernels, &s.empty, "initrd.img-%u", i);
		add_shared(s.builder, s.kernels, &s.empty, "unknown-%u", i);
	}
	kernels = system_find(&s);
	assert_int_equal(boot_entries(kernels, &entries), 1000);
	assert_string_equal(entries[0].path, "/kernels/vmlinuz-99999");
	assert_string_equal(entries[999].path, "/kernels/vmlinuz-99000");
	assert_initrds(&entries[999], PATHS("/kernels/initrd.img-99000"));
	assert_int_equal(rejected(kernels, "it has 1000 kernels"), MANY - 1000);
	assert_int_equal(rejected(kernels, "has no kernel's name"), MANY);
	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &table), 0);
	assert_in_range(menu_size(kernels), 100000, 1 << 20);
}

/* The longest names there are, which differ at their ends. */
static void versions_of_many_digits(void **state)
{
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	const struct boot_entry *entries;

	system_begin(&s);
	for (unsigned i = 0; i < MANY / 4; i++)
		add_shared(s.builder, s.kernels, &s.kernel,
			   "vmlinuz-1.%0200u.%044u", 7, i);
	kernels = system_find(&s);
	boot_entries(kernels, &entries);
	assert_string_equal(entries[0].version + 239, "00024999");
}

/* Every kernel of such a directory would go with every initrd. */
static struct boot_kernels *directory_of(unsigned n_kernels, unsigned n_initrds)
{
	struct system s;
	builder_id dir;

	system_begin(&s);
	dir = add_dir(s.builder, s.kernels, "mine");
	for (unsigned i = 0; i < n_kernels; i++)
		add_shared(s.builder, dir, &s.kernel, "vmlinuz-%u.x", i);
	for (unsigned i = 0; i < n_initrds; i++)
		add_shared(s.builder, dir, &s.empty, "initrd.%0200u", i);
	return system_find(&s);
}

static void initrds_of_all(void **state)
{
	_cleanup_boot_ struct boot_kernels *few = NULL;
	_cleanup_boot_ struct boot_kernels *many = NULL;
	_cleanup_boot_ struct boot_kernels *more = NULL;
	const struct boot_entry *entries;

	few = directory_of(3, 100);
	assert_int_equal(boot_entries(few, &entries), 3);
	assert_int_equal(entries[0].n_initrds, 100);
	many = directory_of(MANY / 5, MANY / 5);
	assert_int_equal(in_menu(many), 0);
	assert_int_equal(rejected(many, "more than 100 initrds"), MANY / 5);
	/* As many as there may be, of too many kernels. */
	more = directory_of(MANY / 25, 100);
	assert_in_range(in_menu(more), 10, 100);
	assert_in_range(menu_size(more), 1000000, (1 << 20) + 4096);
	assert_true(rejected(more, "of 67108864 at most") > 0);
	assert_true(rejected(more, "of 1048576 are left") > 0);
	assert_int_equal(in_menu(more) + rejected(more, "no room") +
				 rejected(more, "too much to boot"),
			 MANY / 25);
}

/* Few bytes of links can make a long way, and many names share it. */
static void links_that_lead_a_long_way(void **state)
{
	static const struct tree_attr link = { .mode = S_IFLNK | 0777 };
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	char target[4000] = "";

	system_begin(&s);
	add_dir(s.builder, s.kernels, "d");
	add_shared(s.builder, s.kernels, &s.kernel, "vmlinuz");
	for (unsigned i = 0; i < 6; i++) {
		char name[16];
		size_t len = 0;

		while (len + 20 < sizeof(target))
			len += (size_t)sprintf(target + len, "d/../");
		sprintf(target + len, i ? "link%u" : "vmlinuz", i - 1);
		snprintf(name, sizeof(name), "link%u", i);
		assert_int_equal(tree_builder_add_symlink(s.builder, s.kernels,
							  name, &link, target,
							  strlen(target), NULL),
				 0);
	}
	for (unsigned i = 0; i < MANY / 2; i++) {
		char name[32];

		snprintf(name, sizeof(name), "vmlinuz-%u", i);
		assert_int_equal(tree_builder_add_symlink(s.builder, s.kernels,
							  name, &link, "link5",
							  5, NULL),
				 0);
	}
	kernels = system_find(&s);
	assert_int_equal(in_menu(kernels), 1);
	assert_int_equal(rejected(kernels, "leads to no file"), MANY / 2);
}

/* ---- entries ---- */

static builder_id add_entries(struct tree_builder *b)
{
	return add_dir(b, add_dir(b, 0, "loader"), "entries");
}

/* One for each kernel, all of one title and version. */
static void entries_of_many_kernels(void **state)
{
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	builder_id entries_dir;
	const struct boot_entry *entries;

	system_begin(&s);
	entries_dir = add_entries(s.builder);
	for (unsigned i = 0; i < MANY * 6 / 10; i++) {
		char text[128], name[32];

		add_shared(s.builder, s.kernels, &s.kernel, "vmlinuz-%u", i);
		snprintf(text, sizeof(text),
			 "title same\nversion 1\nlinux /kernels/vmlinuz-%u\n",
			 i);
		snprintf(name, sizeof(name), "%u.conf", i);
		add_text(s.builder, entries_dir, name, text);
	}
	kernels = system_find(&s);
	assert_int_equal(boot_entries(kernels, &entries), 1000);
	assert_string_equal(entries[0].bls, "/loader/entries/0.conf");
	assert_string_equal(entries[0].title, "same");
	assert_int_equal(rejected(kernels, "no room in the menu") +
				 rejected(kernels, "too much to boot"),
			 MANY * 6 / 10 - 1000);
}

/* Text of `size` bytes that repeats a line. */
static char *repeated(const char *first, const char *line, size_t size)
{
	char *text = malloc(size + 1);
	size_t len = strlen(first);

	assert_non_null(text);
	memset(text, '#', size);
	memcpy(text, first, len);
	while (len + strlen(line) <= size) {
		memcpy(text + len, line, strlen(line));
		len += strlen(line);
	}
	text[size] = '\0';
	return text;
}

static void entries_of_many_options(void **state)
{
	static const char first[] = "linux /kernels/vmlinuz\n";
	_cleanup_free_ char *large = repeated(first, "options a\n", 1 << 20);
	_cleanup_free_ char *most = repeated(first, "options a\n", 65536);
	struct bytes larges = bytes_of(large, 1 << 20);
	struct bytes mosts = bytes_of(most, 65536);
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	builder_id entries_dir;

	system_begin(&s);
	entries_dir = add_entries(s.builder);
	add_shared(s.builder, s.kernels, &s.kernel, "vmlinuz");
	for (unsigned i = 0; i < 500; i++) {
		add_shared(s.builder, entries_dir, &larges, "large-%u.conf", i);
		add_shared(s.builder, entries_dir, &mosts, "most-%u.conf", i);
	}
	kernels = system_find(&s);
	assert_int_equal(rejected(kernels, "1048576 bytes: 65536 at most"),
			 500);
	assert_int_equal(rejected(kernels, "this kernel takes 2047"), 500);
}

static void entries_of_long_values(void **state)
{
	static const struct {
		const char *key;
		size_t most; /* bytes, or lines */
		const char *reason;
	} keys[] = {
		{ "version", 255, "255 bytes" },
		{ "sort-key", 255, "255 bytes" },
		{ "machine-id", 255, "255 bytes" },
		{ "title", 4095, "4095 bytes" },
	};
	_cleanup_boot_ struct boot_kernels *kernels = NULL;
	struct system s;
	builder_id entries_dir;
	char text[9000];
	_cleanup_free_ char *initrds = NULL;
	size_t len;

	system_begin(&s);
	entries_dir = add_entries(s.builder);
	add_shared(s.builder, s.kernels, &s.kernel, "vmlinuz");
	add_shared(s.builder, s.kernels, &s.empty, "i");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t more = 0; more < 2; more++) {
			char name[32];

			snprintf(name, sizeof(name), "%zu-%zu.conf", more, i);
			snprintf(text, sizeof(text),
				 "linux /kernels/vmlinuz\n%s %0*d\n",
				 keys[i].key, (int)(keys[i].most + more), 0);
			add_text(s.builder, entries_dir, name, text);
		}
	len = (size_t)sprintf(text, "linux /kernels/vmlinuz\n");
	for (unsigned i = 0; i < 100; i++)
		len += (size_t)sprintf(text + len, "initrd /kernels/i\n");
	add_text(s.builder, entries_dir, "0-initrd.conf", text);
	sprintf(text + len, "initrd /kernels/i\n");
	add_text(s.builder, entries_dir, "1-initrd.conf", text);
	initrds = repeated("linux /kernels/vmlinuz\n", "initrd /a\n", 65536);
	add_text(s.builder, entries_dir, "1-more.conf", initrds);
	kernels = system_find(&s);
	assert_int_equal(in_menu(kernels), 5);
	assert_int_equal(rejected(kernels, "255 bytes"), 3);
	assert_int_equal(rejected(kernels, "4095 bytes"), 1);
	assert_int_equal(rejected(kernels, "100 lines \"initrd\""), 2);
}

/* ---- archives ---- */

static void archives_in_many_directories(void **state)
{
	struct tree_builder *b = builder_new();
	struct tree_builder *grafts = builder_new();
	builder_id dir = add_dir(b, 0, "kernels");
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_tree_ struct tree *grafted = NULL;

	for (unsigned i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%u", i);
		add_dir(b, add_dir(b, dir, name), "initrd.d");
	}
	tree = tree_of(b);
	assert_int_equal(
		archives_graft(tree, "kernels", &dir_attr, grafts, NULL), 0);
	grafted = tree_of(grafts);
	assert_int_not_equal(tree_find(grafted, "kernels/99999/initrd.d"),
			     TREE_NONE);
	assert_int_equal(tree_count(grafted), 2 + 2 * MANY);
}

static void archive_of_many_names(void **state)
{
	struct tree_builder *b = builder_new();
	builder_id dir = add_dir(b, 0, "d");
	struct bytes bytes = bytes_of("x", 1);
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	builder_id file;

	assert_int_equal(tree_builder_add_content(b, dir, "file", &file_attr,
						  &bytes.content, 1, &file),
			 0);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir-%u", i);
		add_dir(b, dir, name);
		snprintf(name, sizeof(name), "link-%u", i);
		assert_int_equal(
			tree_builder_add_link(b, dir, name, strlen(name), file),
			0);
	}
	tree = tree_of(b);
	assert_int_equal(
		cpio_new(&cpio, tree, tree_find(tree, "d"), CPIO_AS_IS, NULL),
		0);
	assert_true(cpio_size(cpio) > MANY * 2 * 110);
}

/* ---- lists ---- */

static int read_list(const char *text, size_t size, struct devices *devices,
		     struct diag *diag)
{
	struct tree_builder *b = builder_new();
	struct bytes bytes = bytes_of(text, size);
	struct tree *tree;
	int r;

	add_shared(b, 0, &bytes, "devices");
	tree = tree_of(b);
	r = devices_read(devices, tree, tree_find(tree, "devices"), diag);
	tree_free(tree);
	return r;
}

static void assert_list_refused(const char *text, size_t size, int err,
				const char *path, const char *reason)
{
	struct devices devices = { 0 };
	struct diag diag = DIAG_INIT;

	assert_int_equal(read_list(text, size, &devices, &diag), err);
	assert_string_equal(diag.path, path);
	if (!strstr(diag.reason, reason))
		fail_msg("%s: %s", diag.path, diag.reason);
	diag_clear(&diag);
	devices_clear(&devices);
}

/* Lines of the longest names there are, with as many levels as they hold. */
static char *deep_list(unsigned n, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "pipe %05u", i);
		for (unsigned level = 0; level < 2045; level++)
			fputs("/a", f);
		fputs(" 0600 0 0\n", f);
	}
	fclose(f);
	return text;
}

static void list_of_deep_names(void **state)
{
	struct devices devices = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;

	text = deep_list(500, &len);
	assert_int_equal(read_list(text, len, &devices, NULL), 0);
	assert_int_equal(devices.count, 500 * 2046);
	assert_int_equal(devices.items[2045].depth, 2046);
	assert_true(devices.items[2044].implied);
	assert_int_equal(devices.items[2044].depth, 2045);
	devices_clear(&devices);
	free(text);
	text = deep_list(600, &len);
	assert_list_refused(text, len, -EFBIG, "/devices:513",
			    "more than 1048576 entries");
}

static void list_that_is_too_much(void **state)
{
	const size_t most = (size_t)16 << 20;
	_cleanup_free_ char *lines = repeated("", "dir a 0 0 0\n", most);
	_cleanup_free_ char *deep = NULL;
	size_t len;
	FILE *f = open_memstream(&deep, &len);

	assert_list_refused("", most + 1, -EFBIG, "/devices",
			    "16777217 bytes: 16777216 at most");
	assert_list_refused(lines, most, -EFBIG, "/devices:1048577",
			    "more than 1048576 entries");
	fputs("dir a 0755 0 0\npipe ", f);
	for (unsigned i = 0; i < MANY; i++)
		fputs("a/", f);
	fputs("b 0600 0 0\n", f);
	fclose(f);
	assert_list_refused(deep, len, -EINVAL, "/devices:2",
			    "NAME of 200001 bytes: 4095 at most");
	free(deep);
	f = open_memstream(&deep, &len);
	fprintf(f, "slink a %04096d 0777 0 0\n", 0);
	fclose(f);
	assert_list_refused(deep, len, -EINVAL, "/devices:1",
			    "TARGET of 4096 bytes: 4095 at most");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start_clock, stop_clock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kernels_with_initrds),
		TEST(versions_of_many_digits),
		TEST(initrds_of_all),
		TEST(links_that_lead_a_long_way),
		TEST(entries_of_many_kernels),
		TEST(entries_of_many_options),
		TEST(entries_of_long_values),
		TEST(archives_in_many_directories),
		TEST(archive_of_many_names),
		TEST(list_of_deep_names),
		TEST(list_that_is_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
