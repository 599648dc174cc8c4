/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A scan for which memory fails once, at every place in turn: the tree is
 * whole, or there is none, with a sink or without. Linked with --wrap.
 */
#include "support.h"

#include <stdatomic.h>
#include <sys/xattr.h>

/* Allocations until the one that fails; below 0: none does. */
static atomic_int left = -1;

static bool fails(void)
{
	return atomic_load(&left) >= 0 && atomic_fetch_sub(&left, 1) == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

/* ---- something of everything ---- */

static void set_xattr(int dir, const char *name, const char *value)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	assert_sys(fsetxattr(fd, "user.name", value, strlen(value), 0));
}

static int make_source(const struct temp *t)
{
	int src;
	int sparse;

	assert_sys(mkdirat(t->fd, "src", 0755));
	src = openat(t->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_sys(src);
	put_before(src);
	assert_sys(mkdirat(src, "kernels", 0755));
	assert_sys(mkdirat(src, "kernels/initrd.cpio", 0755));
	put_text(src, "kernels/initrd.cpio/init", "init");
	put_text(t->fd, "bzImage", "kernel");
	assert_sys(symlinkat("../../bzImage", src, "kernels/bzImage"));
	put_text(src, "file", "text");
	assert_sys(linkat(src, "file", src, "kernels/twin", 0));
	set_xattr(src, "file", "value");
	/* What fails for the first must not be used for the next. */
	for (char c = 'a'; c <= 'd'; c++) {
		const char path[] = { 'f', c, '\0' };

		put_text(src, path, path);
		set_xattr(src, path, path);
	}
	set_xattr(src, ".", "root's");
	sparse = openat(src, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_sys(sparse);
	assert_sys(ftruncate(sparse, 1 << 20));
	assert_ok(io_pwrite(sparse, "x", 1, 1 << 19));
	close(sparse);
	return src;
}

static bool is_archive(const char *name, size_t len)
{
	return len > 5 && memcmp(name + len - 5, ".cpio", 5) == 0;
}

/* Whether memory failed; then there is no tree, or the same one. */
static bool fail_once(int src, const struct tree_scan_options *options,
		      const struct tree *whole, int at, bool listening)
{
	struct tree_builder *grafts = builder_new();
	struct heard heard;
	struct diag diag = heard_begin(&heard);
	struct tree *tree = NULL;
	bool failed;
	int r;

	if (!listening)
		diag.sink = NULL;
	atomic_store(&left, at);
	r = try_scan(src, options, grafts, &tree, &diag);
	failed = atomic_exchange(&left, -1) < 0;
	assert_true(r == 0 || r == -ENOMEM);
	assert_int_equal(heard.n, 0);
	if (r == 0)
		assert_true(tree_equal(tree, whole));
	tree_free(tree);
	tree_builder_free(grafts);
	diag_clear(&diag);
	heard_clear(&heard);
	return failed;
}

static void memory_fails_once(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	struct tree_scan_options options = {
		.follow = "kernels",
		.archives_in = "kernels",
		.is_archive = is_archive,
	};
	static const enum tree_part parts[] = { TREE_PART_ALL,
						TREE_PART_WITHOUT,
						TREE_PART_ARCHIVES };

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		_cleanup_builder_ struct tree_builder *grafts = builder_new();
		_cleanup_tree_ struct tree *whole = NULL;
		int at = 0;

		options.part = parts[i / 2];
		whole = scan(src, &options, grafts);
		while (fail_once(src, &options, whole, at, i % 2))
			at++;
		assert_true(at > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(memory_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
