/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A directory as an archive: what stands where, and any range of it. */
#include "support_cpio.h"

#include <time.h>

/* ---- as it is ---- */

static void to_the_letter(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	_cleanup_free_ char *bytes = NULL;
	struct tree_attr attr = {
		.mode = S_IFDIR | 0750,
		.uid = 10,
		.gid = 0xabcdef01,
		.mtime = 0x5f000000,
	};
	static const char wanted[] =
		"07070100000000000041E80000000AABCDEF01000000025F000000"
		"00000000000000000000000000000000000000000000000200000000"
		".\0"
		"0707010000000100008180000000000000000000000001FFFFFFFF"
		"00000005000000000000000000000000000000000000000400000000"
		"abc\0\0\0"
		"hello\0\0\0"
		"070701000000020000218000000000000000000000000100000000"
		"00000000000000000000000000000FFF000FFFFF0000000300000000"
		"nn\0\0\0\0"
		"070701000000000000000000000000000000000000000100000000"
		"00000000000000000000000000000000000000000000000B00000000"
		"TRAILER!!!\0\0\0\0";
	struct content *hello;
	builder_id dir;

	assert_ok(tree_builder_add(b, 0, "d", 1, &attr, &dir));
	attr = (struct tree_attr){ .mode = S_IFREG | 0600, .mtime = 1LL << 40 };
	assert_ok(content_new_bytes(&hello, "hello", 5));
	assert_ok(
		tree_builder_add_content(b, dir, "abc", &attr, hello, 5, NULL));
	attr = (struct tree_attr){
		.mode = S_IFCHR | 0600,
		.mtime = -1,
		.major = 4095,
		.minor = 1048575,
	};
	assert_ok(tree_builder_add(b, dir, "nn", 2, &attr, NULL));
	tree = builder_tree(b);
	cpio = must_make(tree, "d", CPIO_AS_IS);
	bytes = read_all(cpio);
	assert_int_equal(cpio_size(cpio), 512);
	assert_memory_equal(bytes, wanted, sizeof(wanted) - 1);
	for (size_t i = sizeof(wanted) - 1; i < 512; i++)
		assert_int_equal(bytes[i], 0);
}

static void depth_first_and_by_bytes(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id d = add_dir(b, 0, "d");
	builder_id a = add_dir(b, d, "a");
	builder_id deep = add_dir(b, a, "x");

	add_dir(b, d, "z");
	add_file(b, d, "a-", 1);
	add_file(b, d, "Z", 2);
	add_file(b, deep, "y", 3);
	add_symlink(b, a, "w", "target");
	add_file(b, 0, "outside", 3);
	tree = builder_tree(b);
	assert_listed(tree, "d", CPIO_AS_IS,
		      ". 0 40755 4 0\n"
		      "Z 1 100644 1 2\n"
		      "a 2 40755 3 0\n"
		      "a/w 3 120777 1 6\n"
		      "a/x 4 40755 2 0\n"
		      "a/x/y 5 100644 1 3\n"
		      "a- 6 100644 1 1\n"
		      "z 7 40755 2 0\n");
	assert_listed(tree, "d/z", CPIO_AS_IS, ". 0 40755 2 0\n");
}

static void hard_links(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id d = add_dir(b, 0, "d");
	builder_id sub = add_dir(b, d, "k");
	builder_id a = add_file(b, d, "a", 7);
	builder_id c = add_file(b, d, "b", 9);
	builder_id alone = add_file(b, 0, "outside", 11);

	add_link(b, sub, "a", a);
	add_link(b, d, "z", a);
	add_link(b, d, "m", c);
	add_link(b, d, "n", alone);
	tree = builder_tree(b);
	assert_listed(tree, "d", CPIO_AS_IS,
		      ". 0 40755 3 0\n"
		      "k 3 40755 2 0\n"
		      "b 2 100644 2 0\n"
		      "m 2 100644 2 9\n"
		      "n 4 100644 1 11\n"
		      "k/a 1 100644 3 0\n"
		      "a 1 100644 3 0\n"
		      "z 1 100644 3 7\n");
}

static void the_latest_time(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	static const struct {
		const char *path;
		int64_t seconds;
		uint32_t ns;
	} wanted[] = { { "d", 100, 1 },
		       { "d/e", 90, 7 },
		       { "d/list", 100, 1 } };
	struct tree_attr attr = dir_attr;
	struct content *empty;
	builder_id d, e, list;

	attr.mtime = 50;
	assert_ok(tree_builder_add(b, 0, "d", 1, &attr, &d));
	assert_ok(tree_builder_add(b, d, "e", 1, &attr, &e));
	attr = (struct tree_attr){ S_IFIFO, 0, 0, 7, 90, 0, 0 };
	assert_ok(tree_builder_add(b, e, "f", 1, &attr, NULL));
	attr = (struct tree_attr){ S_IFDIR, 0, 0, 9, 10, 0, 0 };
	assert_ok(tree_builder_add(b, d, "list", 4, &attr, &list));
	attr = (struct tree_attr){ S_IFREG, 0, 0, 1, 100, 0, 0 };
	assert_ok(content_new_bytes(&empty, "", 0));
	assert_ok(tree_builder_add_content(b, list, "devices", &attr, empty, 0,
					   NULL));
	tree = builder_tree(b);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		_cleanup_cpio_ struct cpio *cpio =
			must_make(tree, wanted[i].path, CPIO_AS_IS);
		int64_t seconds;
		uint32_t ns;

		cpio_time(cpio, &seconds, &ns);
		assert_int_equal(seconds, wanted[i].seconds);
		assert_int_equal(ns, wanted[i].ns);
	}
}

/* ---- ranges ---- */

static struct tree *tree_for_ranges(void)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id d = add_dir(b, 0, "d");
	builder_id file = add_text(b, d, "c", "some bytes");

	add_text(b, d, "empty", "");
	add_text(b, d, "four", "four");
	add_symlink(b, d, "l", "where it leads");
	add_link(b, add_dir(b, d, "sub"), "c", file);
	add_text(b, d, "devices", "nod n 0600 0 0 c 1 3\nslink s x 0 0 0\n");
	return builder_tree(b);
}

static void every_range(void **state)
{
	static const size_t lengths[] = { 1, 2, 3, 5, 110, 111, 200, 700 };
	_cleanup_tree_ struct tree *tree = tree_for_ranges();
	_cleanup_cpio_ struct cpio *cpio = must_make(tree, "d", CPIO_AS_IS);
	_cleanup_free_ char *bytes = read_all(cpio);
	struct reading reading = { .reader.read = read_dots };
	uint64_t size = cpio_size(cpio);
	char buf[702];

	assert_ok(cpio_pread(cpio, &reading.reader, buf, 0, size));
	for (uint64_t at = 0; at < size; at++)
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			size_t len = (size_t)min_u64(lengths[i], size - at);

			memset(buf, '#', sizeof(buf));
			assert_ok(cpio_pread(cpio, &reading.reader, buf + 1,
					     len, at));
			assert_memory_equal(buf + 1, bytes + at, len);
			assert_int_equal(buf[0], '#');
			assert_int_equal(buf[len + 1], '#');
		}
}

static void as_the_content_of_a_file(void **state)
{
	_cleanup_tree_ struct tree *tree = tree_for_ranges();
	struct cpio *cpio = must_make(tree, "d", CPIO_AS_IS);
	_cleanup_free_ char *bytes = read_all(cpio);
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *outer = NULL;
	char buf[300];

	add_content(b, 0, "initrd", cpio_content(cpio), cpio_size(cpio));
	outer = builder_tree(b);
	assert_ok(tree_read(outer, must_find(outer, "initrd"), buf, sizeof(buf),
			    99, NULL));
	assert_memory_equal(buf, bytes + 99, sizeof(buf));
}

/* Files of the host are asked for at once, and their errors handed on. */
static void host_files(void **state)
{
	const struct temp *t = *state;
	struct reading reading = { .reader.read = read_dots };
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	_cleanup_free_ char *buf = NULL;

	assert_sys(mkdirat(t->fd, "d", 0755));
	put_text(t->fd, "d/a", "0123456789");
	put_text(t->fd, "d/b", "0123456789");
	tree = scan(t->fd, &scan_all, NULL);
	cpio = must_make(tree, "d", CPIO_AS_IS);
	buf = malloc(cpio_size(cpio));
	assert_ok(cpio_pread(cpio, &reading.reader, buf, cpio_size(cpio), 0));
	assert_int_equal(reading.calls, 2);
	assert_int_equal(reading.longest, 10);
	assert_memory_equal(buf + 112 + 112,
			    "..........\0\0"
			    "070701",
			    18);
	/* A range of headers alone asks for none. */
	assert_ok(cpio_pread(cpio, &reading.reader, buf, 224, 0));
	assert_int_equal(reading.calls, 2);
	assert_ok(cpio_pread(cpio, &reading.reader, buf, 7, 226));
	assert_int_equal(reading.calls, 3);
	reading.result = -ESTALE;
	assert_int_equal(cpio_pread(cpio, &reading.reader, buf, 7, 226),
			 -ESTALE);
	assert_int_equal(reading.calls, 4);
}

static void a_host_file_that_changed(void **state)
{
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_tree_ struct tree *outer = NULL;
	struct cpio *cpio;
	char buf[1024];

	assert_sys(mkdirat(t->fd, "d", 0755));
	put_text(t->fd, "d/file", "0123456789");
	tree = scan(t->fd, &scan_all, NULL);
	cpio = must_make(tree, "d", CPIO_AS_IS);
	assert_int_equal(cpio_size(cpio), 512);
	add_content(b, 0, "x", cpio_content(cpio), 512);
	outer = builder_tree(b);
	assert_ok(tree_read(outer, must_find(outer, "x"), buf, 512, 0, &diag));
	assert_memory_equal(buf + 112 + 116, "0123456789", 10);
	put_text(t->fd, "d/file", "0123456789 and more");
	assert_int_equal(
		tree_read(outer, must_find(outer, "x"), buf, 512, 0, &diag),
		-ESTALE);
	assert_contains(diag.path, "/src/d/file");
}

static void a_list_that_changed(void **state)
{
	const struct temp *t = *state;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_tree_ struct tree *tree = NULL;
	struct cpio *cpio = NULL;

	put_text(t->fd, "devices", "dir dev 0755 0 0\n");
	tree = scan(t->fd, &scan_all, NULL);
	put_text(t->fd, "devices", "dir dev 0755 0 0\ndir etc 0755 0 0\n");
	assert_int_equal(cpio_new(&cpio, tree, TREE_ROOT, CPIO_AS_IS, &diag),
			 -ESTALE);
	assert_contains(diag.path, "/src/devices");
}

/* ---- modules ---- */

static void modules_of_a_version(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	const struct tree_attr closed = {
		.mode = S_IFDIR | 0700,
		.uid = 1000,
		.gid = 1000,
	};
	builder_id d, kernel;

	assert_ok(tree_builder_add(b, 0, "modules-6.9+", 12, &closed, &d));
	assert_ok(tree_builder_add(b, d, "kernel", 6, &closed, &kernel));
	add_file(b, kernel, "a.ko", 3);
	add_file(b, d, "modules.dep", 4);
	add_symlink(b, d, "build", "/usr/src");
	tree = builder_tree(b);
	assert_listed(tree, "modules-6.9+", CPIO_MODULES,
		      "lib/ 0 40755 3 0\n"
		      "lib/modules/ 1 40755 3 0\n"
		      "lib/modules/6.9+/ 2 40755 3 0\n"
		      "lib/modules/6.9+/build 3 120777 1 8\n"
		      "lib/modules/6.9+/kernel/ 4 40755 2 0\n"
		      "lib/modules/6.9+/kernel/a.ko 5 100644 1 3\n"
		      "lib/modules/6.9+/modules.dep 6 100644 1 4\n");
}

static void modules_as_installed(void **state)
{
	static const char *const tops[] = { "lib", "usr" };

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		builder_id d = add_dir(b, 0, "modules");
		char wanted[100];

		add_file(b, add_dir(b, add_dir(b, d, tops[i]), "m"), "x", 3);
		tree = builder_tree(b);
		snprintf(wanted, sizeof(wanted),
			 "%1$s/ 0 40755 3 0\n"
			 "%1$s/m/ 1 40755 2 0\n"
			 "%1$s/m/x 2 100644 1 3\n",
			 tops[i]);
		assert_listed(tree, "modules", CPIO_MODULES, wanted);
	}
}

static void modules_of_no_version(void **state)
{
	static const char *const names[] = { "modules", "modules-", "modules-.",
					     "modules-..", "other-6.9" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_builder_ struct tree_builder *empty = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;

		add_file(b, add_dir(b, 0, names[i]), "a.ko", 1);
		assert_refused(b, names[i], CPIO_MODULES, -EINVAL, names[i],
			       "modules-VERSION");
		add_dir(empty, 0, names[i]);
		tree = builder_tree(empty);
		assert_listed(tree, names[i], CPIO_MODULES, "");
	}
}

static void modules_that_modprobe_does_not_find(void **state)
{
	_cleanup_(heard_clear) struct heard heard;
	struct diag diag = heard_begin(&heard);
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	static const char *const names[] = { "modules-1", "modules-2" };

	add_file(b, add_dir(b, 0, names[0]), "modules.dep", 1);
	add_file(b, add_dir(b, 0, names[1]), "a.ko", 1);
	tree = builder_tree(b);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_cpio_ struct cpio *cpio = NULL;

		assert_ok(cpio_new(&cpio, tree, must_find(tree, names[i]),
				   CPIO_MODULES, &diag));
		assert_int_equal(heard.n, i);
	}
	assert_int_equal(heard.errors[0], 0);
	assert_contains(heard.lines[0], "/modules-2: has no modules.dep");
}

/* ---- many ---- */

#define MANY 300000u

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half of them names of one inode: what is quadratic takes hours. */
static void many_entries(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	struct reading reading = { .reader.read = read_dots };
	builder_id d = add_dir(b, 0, "d");
	builder_id first = add_file(b, d, "first", 1);
	double start = seconds();
	char buf[4096];

	for (unsigned i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		if (i % 2)
			add_link(b, d, name, first);
		else
			add_file(b, d, name, 1);
	}
	tree = builder_tree(b);
	cpio = must_make(tree, "d", CPIO_AS_IS);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t at = (cpio_size(cpio) - sizeof(buf)) / 10000 * i;

		assert_ok(cpio_pread(cpio, &reading.reader, buf, sizeof(buf),
				     at));
	}
	assert_true(seconds() - start < 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_letter),
		cmocka_unit_test(depth_first_and_by_bytes),
		cmocka_unit_test(hard_links),
		cmocka_unit_test(the_latest_time),
		cmocka_unit_test(every_range),
		cmocka_unit_test(as_the_content_of_a_file),
		scan_tests(host_files),
		scan_tests(a_host_file_that_changed),
		scan_tests(a_list_that_changed),
		cmocka_unit_test(modules_of_a_version),
		cmocka_unit_test(modules_as_installed),
		cmocka_unit_test(modules_of_no_version),
		cmocka_unit_test(modules_that_modprobe_does_not_find),
		cmocka_unit_test(many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
