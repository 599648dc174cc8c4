/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes of a host's entries, by either way of asking. */
#include "support.h"

#include <sys/xattr.h>

#include "tree/xattr.h"

static void set(int dir, const char *name, const char *xattr, const char *value)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	assert_sys(lsetxattr(path, xattr, value, strlen(value), 0));
}

static struct xattr_reader reader_of(enum tree_xattrs which, int dir,
				     bool by_proc)
{
	struct xattr_reader reader;

	assert_ok(xattr_reader_init(&reader, which, dir));
	if (by_proc)
		reader.by_proc = true;
	return xattr_reader_like(&reader);
}

/* The set of one entry as the builder gets it, records one behind the other. */
static void assert_set(int dir, const char *name, enum tree_xattrs which,
		       const char *bytes, size_t len)
{
	for (int by_proc = 0; by_proc < 2; by_proc++) {
		_cleanup_(xattr_reader_release) struct xattr_reader reader =
			reader_of(which, dir, by_proc);
		_cleanup_(
			dir_builder_release) struct dir_builder builder = { 0 };
		struct entry e = { .dev = 1 };

		assert_ok(xattrs_scan(&reader, &builder, &e, dir, name));
		assert_int_equal(e.xattrs_len, len);
		if (len > 0)
			assert_memory_equal(builder.xattrs.items +
						    e.first_xattr,
					    bytes, len);
	}
}

#define A_IS_B	"\1\1\1\0\0\0ab"
#define TRUSTED "\4\1\2\0\0\0tvv"
#define assert_is(dir, name, which, bytes) \
	assert_set(dir, name, which, bytes, sizeof(bytes) - 1)

static void which_are_taken(void **state)
{
	const struct temp *t = *state;

	put_text(t->fd, "file", "");
	put_text(t->fd, "bare", "");
	set(t->fd, "file", "user.a", "b");
	assert_is(t->fd, "file", TREE_XATTRS_KEEP, A_IS_B);
	assert_is(t->fd, "bare", TREE_XATTRS_KEEP, "");
	assert_is(t->fd, "gone", TREE_XATTRS_KEEP, "");
	assert_is(t->fd, ".", TREE_XATTRS_KEEP, "");
	set(t->fd, ".", "user.a", "b");
	assert_is(t->fd, ".", TREE_XATTRS_KEEP, A_IS_B);
	if (geteuid() != 0)
		return;
	set(t->fd, "file", "trusted.t", "vv");
	assert_is(t->fd, "file", TREE_XATTRS_KEEP, A_IS_B TRUSTED);
	assert_is(t->fd, "file", TREE_XATTRS_USER, A_IS_B);
	assert_is(t->fd, "file", TREE_XATTRS_NONE, "");
}

/* A link's own, never those of what it leads to. */
static void links_are_not_followed(void **state)
{
	const struct temp *t = *state;

	put_text(t->fd, "file", "");
	set(t->fd, "file", "user.a", "b");
	assert_sys(symlinkat("file", t->fd, "link"));
	assert_is(t->fd, "link", TREE_XATTRS_KEEP, "");
	if (geteuid() != 0)
		return;
	set(t->fd, "link", "trusted.t", "vv");
	assert_is(t->fd, "link", TREE_XATTRS_KEEP, TRUSTED);
}

/* More names and longer values than are asked for at first. */
static void many_and_large(void **state)
{
	const struct temp *t = *state;
	char value[3000];
	size_t names = 0;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	put_text(t->fd, "file", "");
	set(t->fd, "file", "user.a", value);
	for (int by_proc = 0; by_proc < 2; by_proc++) {
		_cleanup_(xattr_reader_release) struct xattr_reader reader =
			reader_of(TREE_XATTRS_KEEP, t->fd, by_proc);
		_cleanup_(
			dir_builder_release) struct dir_builder builder = { 0 };
		struct entry e = { .dev = 1 };

		/* As if less had been asked for. */
		assert_ok(xattrs_scan(&reader, &builder, &e, t->fd, "."));
		reader.names.size = 3;
		reader.value.size = 100;
		assert_ok(xattrs_scan(&reader, &builder, &e, t->fd, "file"));
		assert_int_equal(e.xattrs_len, 6 + 1 + sizeof(value) - 1);
		names += reader.names.size;
	}
	assert_true(names >= 2 * 65536);
}

/* A file system that lists one twice; linked with --wrap. */
ssize_t __real_llistxattr(const char *path, char *list, size_t size);
ssize_t __wrap_llistxattr(const char *path, char *list, size_t size);

static const char *listed = NULL;
static size_t listed_len;

ssize_t __wrap_llistxattr(const char *path, char *list, size_t size)
{
	if (!listed)
		return __real_llistxattr(path, list, size);
	if (size > 0)
		memcpy(list, listed, listed_len);
	return (ssize_t)listed_len;
}

/* The entry has none then, and not a part of them. */
static void listed_twice(void **state)
{
	static const char twice[] = "user.a\0user.b\0user.a";
	const struct temp *t = *state;
	_cleanup_(xattr_reader_release) struct xattr_reader reader =
		reader_of(TREE_XATTRS_KEEP, t->fd, true);
	_cleanup_(dir_builder_release) struct dir_builder builder = { 0 };
	struct entry e = { .dev = 1 };

	put_text(t->fd, "file", "");
	set(t->fd, "file", "user.a", "1");
	set(t->fd, "file", "user.b", "2");
	listed = twice;
	listed_len = sizeof(twice);
	assert_int_equal(xattrs_scan(&reader, &builder, &e, t->fd, "file"),
			 -EEXIST);
	listed = NULL;
	assert_contains(reader.reason, "listed twice");
	assert_int_equal(e.xattrs_len, 0);
	assert_int_equal(builder.xattrs.count, 0);
	assert_ok(xattrs_scan(&reader, &builder, &e, t->fd, "file"));
	assert_int_equal(e.xattrs_len, 2 * (6 + 1 + 1));
}

/* ---- whole trees ---- */

static void assert_numbers(const struct tree *tree, const char *path,
			   uint32_t number)
{
	struct tree_info info;

	get_info(tree, path, &info);
	assert_int_equal(info.xattrs, number);
}

static void of_a_scan(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_scan_options none = { .xattrs = TREE_XATTRS_NONE };

	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_text(t->fd, "dir/one", "");
	put_text(t->fd, "dir/two", "");
	assert_sys(linkat(t->fd, "dir/two", t->fd, "zwei", 0));
	set(t->fd, ".", "user.a", "1");
	set(t->fd, "dir", "user.a", "2");
	set(t->fd, "dir/one", "user.a", "1");
	set(t->fd, "dir/two", "user.a", "3");
	tree = scan(t->fd, &scan_all, NULL);
	assert_int_equal(tree_xattr_sets(tree), 3);
	assert_numbers(tree, "", 1);
	assert_numbers(tree, "dir", 2);
	assert_numbers(tree, "zwei", 3);
	assert_numbers(tree, "dir/one", 1);
	assert_numbers(tree, "dir/two", 3);
	tree_free(tree);
	tree = scan(t->fd, &none, NULL);
	assert_int_equal(tree_xattr_sets(tree), 0);
}

/* The host's directory stays as it is where grafts are laid under it. */
static void host_wins_over_grafts(void **state)
{
	static const struct tree_host_xattr x = { "user.x", "graft", 5 };
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *b = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id dir, only;

	assert_sys(mkdirat(t->fd, "dir", 0755));
	assert_ok(tree_builder_new(&b, &dir_attr));
	dir = add_dir(b, 0, "dir");
	only = add_dir(b, dir, "only");
	assert_ok(tree_builder_set_xattrs(b, dir, &x, 1));
	assert_ok(tree_builder_set_xattrs(b, only, &x, 1));
	tree = scan(t->fd, &scan_all, b);
	assert_numbers(tree, "dir", 0);
	assert_numbers(tree, "dir/only", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(which_are_taken), temp_test(links_are_not_followed),
		temp_test(many_and_large),  temp_test(listed_twice),
		scan_tests(of_a_scan),	    scan_tests(host_wins_over_grafts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
