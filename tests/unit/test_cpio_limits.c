/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an archive cannot hold, and lists of devices that say so. */
#include "support_cpio.h"

/* ---- limits ---- */

static void sizes_up_to_4_gib(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_builder_ struct tree_builder *more = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	struct reading reading = { .reader.read = read_dots };
	builder_id d = add_dir(b, 0, "d");
	uint64_t end = 112 + 112 + UINT64_C(0x100000000);
	char buf[112 + 9];

	add_file(b, d, "a", UINT32_MAX);
	add_file(b, d, "b", UINT32_MAX);
	tree = builder_tree(b);
	cpio = must_make(tree, "d", CPIO_AS_IS);
	assert_int_equal(cpio_size(cpio), round_up(2 * end - 112 + 124, 512));
	assert_ok(cpio_pread(cpio, &reading.reader, buf, sizeof(buf), end - 1));
	assert_memory_equal(buf,
			    "\0"
			    "07070100000002",
			    15);
	assert_int_equal(field(buf + 1, SIZE), UINT32_MAX);
	assert_memory_equal(buf + 111, "b\0\0\0", 3);

	d = add_dir(more, 0, "d");
	add_file(more, d, "large", UINT64_C(1) << 32);
	assert_refused(more, "d", CPIO_AS_IS, -EFBIG, "/d/large", "4 GiB");
}

/* d/d/d ... */
static struct tree_builder *deep(const char *top, unsigned levels,
				 const char *name)
{
	struct tree_builder *b = builder_new();
	builder_id at = add_dir(b, 0, top);

	for (unsigned i = 0; i < levels; i++)
		at = add_dir(b, at, "d");
	if (name)
		add_file(b, at, name, 1);
	return b;
}

static void paths_up_to_4095_bytes(void **state)
{
	_cleanup_builder_ struct tree_builder *b = deep("top", 2047, "f");
	_cleanup_builder_ struct tree_builder *longer = deep("top", 2047, "fi");
	_cleanup_builder_ struct tree_builder *deeper = deep("top", 100000,
							     NULL);
	_cleanup_builder_ struct tree_builder *slash = deep("modules-1", 2041,
							    NULL);
	_cleanup_tree_ struct tree *tree = builder_tree(b);
	_cleanup_cpio_ struct cpio *cpio = must_make(tree, "top", CPIO_AS_IS);
	_cleanup_free_ char *list = listed(cpio);
	_cleanup_builder_ struct tree_builder *m = deep("modules-1", 2040,
							NULL);
	_cleanup_tree_ struct tree *fits = builder_tree(m);

	cpio_free(must_make(fits, "modules-1", CPIO_MODULES));
	assert_contains(list, "/d/d/f 2048 100644 1 1\n");
	assert_refused(longer, "top", CPIO_AS_IS, -ENAMETOOLONG, "/d/d/fi",
		       "4095 bytes");
	assert_refused(deeper, "top", CPIO_AS_IS, -ENAMETOOLONG, "/d/d/d",
		       "4095 bytes");
	/* A '/' more is too much. */
	assert_refused(slash, "modules-1", CPIO_MODULES, -ENAMETOOLONG,
		       "/d/d/d", "4095 bytes");
}

static void what_the_kernel_would_not_unpack(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_builder_ struct tree_builder *c = builder_new();
	_cleanup_builder_ struct tree_builder *e = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	char target[4097];
	builder_id d = add_dir(b, 0, "d");

	add_file(b, d, "TRAILER!!!", 1);
	assert_refused(b, "d", CPIO_AS_IS, -EINVAL, "/d/TRAILER!!!",
		       "the end of an archive");
	d = add_dir(c, 0, "d");
	add_text(c, d, "devices", "\ndir TRAILER!!! 0755 0 0\n");
	assert_refused(c, "d", CPIO_AS_IS, -EINVAL, "/d/devices:2",
		       "the end of an archive");
	d = add_dir(e, 0, "d");
	add_file(e, add_dir(e, d, "TRAILER"), "TRAILER!!!", 1);
	memset(target, 't', sizeof(target));
	target[4095] = '\0';
	add_symlink(e, d, "l", target);
	tree = builder_tree(e);
	cpio_free(must_make(tree, "d", CPIO_AS_IS));
	target[4095] = 't';
	target[4096] = '\0';
	tree_builder_free(e);
	e = builder_new();
	add_symlink(e, 0, "l", target);
	assert_refused(e, "", CPIO_AS_IS, -ENAMETOOLONG, "/l", "4095 bytes");
}

static void no_directory(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();

	add_file(b, 0, "f", 1);
	assert_refused(b, "f", CPIO_AS_IS, -ENOTDIR, "/f", "no directory");
}

/* ---- lists ---- */

static void a_list(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id d = add_dir(b, 0, "d");
	builder_id dev = add_dir(b, d, "dev");
	builder_id gone = add_file(b, d, "gone", 5);

	add_file(b, dev, "b", 1);
	add_link(b, d, "stays", gone);
	add_dir(b, d, "none");
	add_file(b, add_dir(b, d, "sub"), "devices", 7);
	add_text(b, d, "devices",
		 "nod dev/a 0600 0 0 c 1 2\n"
		 "nod dev/c/d 0600 0 0 b 1 2\n"
		 "pipe gone 0600 0 0\n"
		 "slink none nowhere 0777 0 0\n"
		 "dir dev 0711 0 0\n"
		 "dir z/y 0700 0 0\n");
	tree = builder_tree(b);
	assert_listed(tree, "d", CPIO_AS_IS,
		      ". 0 40755 5 0\n"
		      "dev 1 40711 3 0\n"
		      "dev/a 2 20600 1 0\n"
		      "dev/b 3 100644 1 1\n"
		      "dev/c 4 40755 2 0\n"
		      "dev/c/d 5 60600 1 0\n"
		      "gone 6 10600 1 0\n"
		      "none 7 120777 1 7\n"
		      "stays 8 100644 1 5\n"
		      "sub 9 40755 2 0\n"
		      "sub/devices 10 100644 1 7\n"
		      "z 11 40755 3 0\n"
		      "z/y 12 40700 2 0\n");
}

static void what_is_no_list(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id d = add_dir(b, 0, "dir");
	builder_id l = add_dir(b, 0, "link");
	builder_id m = add_dir(b, 0, "modules-1");

	add_text(b, add_dir(b, d, "devices"), "x", "");
	add_symlink(b, l, "devices", "x");
	add_text(b, m, "devices", "no list");
	tree = builder_tree(b);
	assert_listed(tree, "dir", CPIO_AS_IS,
		      ". 0 40755 3 0\n"
		      "devices 1 40755 2 0\n"
		      "devices/x 2 100644 1 0\n");
	assert_listed(tree, "link", CPIO_AS_IS,
		      ". 0 40755 2 0\n"
		      "devices 1 120777 1 1\n");
	assert_listed(tree, "modules-1", CPIO_MODULES,
		      "lib/ 0 40755 3 0\n"
		      "lib/modules/ 1 40755 3 0\n"
		      "lib/modules/1/ 2 40755 2 0\n"
		      "lib/modules/1/devices 3 100644 1 7\n");
}

static void lists_that_do_not_fit(void **state)
{
	static const struct {
		const char *list;
		const char *reason;
	} wrong[] = {
		{ "#\npipe full 0600 0 0\n", "\"full\" is a directory with" },
		{ "#\npipe link/x 0600 0 0\n", "\"link\" is no directory" },
		{ "#\ndir full/f/x 0755 0 0\n", "\"full/f\" is no directory" },
		{ "#\ndir wrong\n", "too few words" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		builder_id d = add_dir(b, 0, "d");

		add_file(b, add_dir(b, d, "full"), "f", 1);
		add_symlink(b, d, "link", "full");
		add_text(b, d, "devices", wrong[i].list);
		assert_refused(b, "d", CPIO_AS_IS, -EINVAL, "/d/devices:2",
			       wrong[i].reason);
	}
}

/* `before`, and a pipe so many levels deep. */
static char *list_of_deep_pipe(const char *before, unsigned levels)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "%spipe ", before);
	for (unsigned i = 0; i < levels; i++)
		fputs("a/", f);
	fputs("x 0600 0 0\n", f);
	fclose(f);
	return text;
}

static void a_listed_path_that_is_too_long(void **state)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_free_ char *text = list_of_deep_pipe("\n\n", 2048);

	add_text(b, add_dir(b, 0, "d"), "devices", text);
	assert_refused(b, "d", CPIO_AS_IS, -EINVAL, "/d/devices:3",
		       "NAME of 4097 bytes: 4095 at most");
}

/* A sink gets every problem. */
static void all_that_does_not_fit(void **state)
{
	static const char *const wanted[] = {
		"/d/devices:2: too few words: dir NAME MODE UID GID",
		"/d/devices:3: a file is not listed: put it, or a link to it, "
		"into the directory",
		"/d/devices:6: \"p\" is no directory: see line 5",
		"/d/TRAILER!!!: the end of an archive has this name: use "
		"another",
		"/d/devices:4: \"full\" is a directory with something in it",
		"/d/large: 4 GiB or more: too large for an archive",
		"/d/larger: 4 GiB or more: too large for an archive",
		"/d/devices:7: \"small\" is no directory",
	};
	_cleanup_(heard_clear) struct heard heard;
	struct diag diag = heard_begin(&heard);
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	builder_id d = add_dir(b, 0, "d");

	add_file(b, d, "TRAILER!!!", 1);
	add_file(b, add_dir(b, add_dir(b, d, "full"), "deeper"), "f", 1);
	add_file(b, d, "large", UINT64_C(1) << 32);
	add_file(b, d, "larger", UINT64_C(1) << 40);
	add_file(b, d, "small", 1);
	add_text(b, d, "devices",
		 "dir fits 0755 0 0\ndir\nfile\npipe full 0600 0 0\n"
		 "pipe p 0600 0 0\npipe p/q/r 0600 0 0\n"
		 "pipe small/x/y 0600 0 0\n");
	tree = builder_tree(b);
	assert_ok(
		cpio_new(&cpio, tree, must_find(tree, "d"), CPIO_AS_IS, &diag));
	assert_int_equal(diag.reported, -EINVAL);
	for (size_t i = 0; i < heard.n && i < ARRAY_SIZE(wanted); i++)
		assert_string_equal(heard.lines[i], wanted[i]);
	assert_int_equal(heard.n, ARRAY_SIZE(wanted));
}

static void every_path_that_is_too_long(void **state)
{
	_cleanup_(heard_clear) struct heard heard;
	struct diag diag = heard_begin(&heard);
	_cleanup_builder_ struct tree_builder *b = deep("d", 2100, NULL);
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	_cleanup_free_ char *deep_pipe = list_of_deep_pipe("", 5000);
	_cleanup_free_ char *text = NULL;
	builder_id at;

	assert_true(asprintf(&text, "%spipe z 0600 0 0\n", deep_pipe) > 0);
	assert_ok(tree_builder_mkdirs(b, 0, "d", &dir_attr, &at));
	add_text(b, at, "devices", text);
	add_file(b, at, "e", UINT64_C(1) << 32);
	tree = builder_tree(b);
	assert_ok(
		cpio_new(&cpio, tree, must_find(tree, "d"), CPIO_AS_IS, &diag));
	assert_int_equal(diag.reported, -EINVAL);
	/* The line, the first directory that is too deep, the file. */
	assert_in_range(heard.n, 3, ARRAY_SIZE(heard.lines));
	assert_contains(heard.lines[0], "/d/devices:1: NAME of");
	assert_contains(heard.lines[heard.n - 2], "/d/d/d/d: its path");
	assert_contains(heard.lines[heard.n - 1], "/d/e: 4 GiB");
}

/* Beside links that wait for each other, and with links of its own. */
static void too_large_among_links(void **state)
{
	_cleanup_(heard_clear) struct heard heard;
	struct diag diag = heard_begin(&heard);
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_cpio_ struct cpio *cpio = NULL;
	builder_id d = add_dir(b, 0, "d");

	add_link(b, d, "b", add_file(b, d, "a", 3));
	add_link(b, d, "y", add_file(b, d, "x", UINT64_C(1) << 32));
	tree = builder_tree(b);
	assert_ok(
		cpio_new(&cpio, tree, must_find(tree, "d"), CPIO_AS_IS, &diag));
	assert_int_equal(heard.n, 2);
	assert_contains(heard.lines[0], "/d/x: 4 GiB");
	assert_in_range(cpio_size(cpio), 512, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_up_to_4_gib),
		cmocka_unit_test(paths_up_to_4095_bytes),
		cmocka_unit_test(what_the_kernel_would_not_unpack),
		cmocka_unit_test(no_directory),
		cmocka_unit_test(a_list),
		cmocka_unit_test(what_is_no_list),
		cmocka_unit_test(lists_that_do_not_fit),
		cmocka_unit_test(a_listed_path_that_is_too_long),
		cmocka_unit_test(all_that_does_not_fit),
		cmocka_unit_test(every_path_that_is_too_long),
		cmocka_unit_test(too_large_among_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
