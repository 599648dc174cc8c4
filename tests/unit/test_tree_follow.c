/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Links in one directory that lead out of the tree, and stand for a file. */
#include "support.h"

static const struct tree_scan_options following = { .follow = "kernels" };

/* SRC with kernels/, and a build beside it. */
static int make_source(const struct temp *t)
{
	int fd;

	assert_sys(mkdirat(t->fd, "src", 0755));
	assert_sys(mkdirat(t->fd, "src/kernels", 0755));
	assert_sys(mkdirat(t->fd, "src/other", 0755));
	assert_sys(mkdirat(t->fd, "build", 0755));
	fd = openat(t->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_sys(fd);
	put_before(fd);
	return fd;
}

static void assert_bytes(const struct tree *tree, const char *path,
			 const char *bytes)
{
	_cleanup_close_ int fd = -1;
	struct tree_info info;
	char buf[100];

	get_info(tree, path, &info);
	assert_true(S_ISREG(info.attr.mode));
	assert_int_equal(info.size, strlen(bytes));
	assert_ok(open_host(tree, must_find(tree, path), &fd, NULL));
	assert_int_equal(io_pread(fd, buf, sizeof(buf), 0), info.size);
	assert_memory_equal(buf, bytes, info.size);
}

static void assert_link(const struct tree *tree, const char *path)
{
	struct tree_info info;

	get_info(tree, path, &info);
	assert_true(S_ISLNK(info.attr.mode));
}

static void assert_changed(const struct tree *tree, bool changed)
{
	tree_id dir = TREE_NONE;

	assert_int_equal(tree_followed_changed(tree, 0, -1, &dir), changed);
	if (changed)
		assert_int_equal(dir, must_find(tree, "kernels"));
}

static struct tree *scan_anew(int src, const struct tree *previous)
{
	struct tree_scan_options options = following;
	tree_id changed = must_find(previous, "kernels");

	options.previous = previous;
	options.changed = &changed;
	options.n_changed = 1;
	return scan(src, &options, NULL);
}

static void a_build_is_followed(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	_cleanup_tree_ struct tree *first = NULL;
	_cleanup_tree_ struct tree *second = NULL;

	put_text(t->fd, "build/bzImage", "one");
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/bzImage"));
	first = scan(src, &following, NULL);
	assert_bytes(first, "kernels/bzImage", "one");
	assert_changed(first, false);
	put_text(t->fd, "build/next", "another");
	assert_sys(renameat(t->fd, "build/next", t->fd, "build/bzImage"));
	assert_changed(first, true);
	second = scan_anew(src, first);
	assert_bytes(second, "kernels/bzImage", "another");
	assert_changed(second, false);
	assert_false(tree_equal(first, second));
}

/* The thread that scanned the link has ended when the file is read. */
static void whichever_thread_follows(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);

	put_text(t->fd, "build/bzImage", "bytes");
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/bzImage"));
	for (int i = 0; i < 50; i++) {
		_cleanup_tree_ struct tree *tree = scan(src, &following, NULL);

		assert_bytes(tree, "kernels/bzImage", "bytes");
	}
}

static void assert_stale(const struct tree *tree, const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	int fd = -7;

	assert_int_equal(
		open_host(tree, must_find(tree, "kernels/l"), &fd, &diag),
		-ESTALE);
	assert_int_equal(fd, -7);
	assert_string_equal(diag.path, "/src/kernels/l");
	assert_contains(diag.reason, reason);
}

static void put_link(int src, const char *target)
{
	(void)unlinkat(src, "kernels/l", 0);
	assert_sys(symlinkat(target, src, "kernels/l"));
}

/* Another way to the same file is as good; another file is not, nor none. */
static void a_link_that_leads_elsewhere_now(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	_cleanup_tree_ struct tree *tree = NULL;
	struct stat st;

	put_text(t->fd, "build/bzImage", "bytes");
	put_text(t->fd, "build/other", "other");
	assert_sys(mkfifoat(t->fd, "build/fifo", 0600));
	assert_sys(symlinkat("build", t->fd, "current"));
	put_link(src, "../../build/bzImage");
	tree = scan(src, &following, NULL);
	assert_bytes(tree, "kernels/l", "bytes");
	put_link(src, "../../current/bzImage");
	assert_bytes(tree, "kernels/l", "bytes");
	put_link(src, "../../build/other");
	assert_stale(tree, "replaced");
	put_link(src, "../../build/none");
	assert_stale(tree, "removed");
	put_link(src, "../../build");
	assert_stale(tree, "replaced");
	put_link(src, "../../build/fifo");
	assert_stale(tree, "replaced");
	put_link(src, "l"); /* leads to nothing outside */
	assert_stale(tree, "replaced");
	put_link(src, "../../build/bzImage");
	assert_bytes(tree, "kernels/l", "bytes");
	/* Where our own mount comes to be, nothing is looked up any more. */
	assert_sys(fstatat(t->fd, "build", &st, 0));
	tree_set_own_dev(tree, st.st_dev);
	assert_stale(tree, "replaced");
	tree_set_own_dev(tree, 0);
	put_text(t->fd, "build/bzImage", "more bytes");
	assert_stale(tree, "size");
}

/* A directory that is made anew of what is known keeps what was followed. */
static void taken_unread(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	struct tree_scan_options options = following;
	_cleanup_tree_ struct tree *second = NULL;
	struct tree *first;
	tree_id changed;

	assert_sys(mkdirat(src, "kernels/sub", 0755));
	put_text(t->fd, "build/bzImage", "bytes");
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/bzImage"));
	first = scan(src, &following, NULL);
	changed = must_find(first, "kernels/sub");
	options.previous = first;
	options.changed = &changed;
	options.n_changed = 1;
	second = scan(src, &options, NULL);
	tree_free(first);
	assert_bytes(second, "kernels/bzImage", "bytes");
	assert_changed(second, false);
}

static void a_link_that_dangles(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	_cleanup_tree_ struct tree *first = NULL;
	_cleanup_tree_ struct tree *second = NULL;

	assert_sys(symlinkat("../../build/bzImage", src, "kernels/bzImage"));
	first = scan(src, &following, NULL);
	assert_link(first, "kernels/bzImage");
	assert_changed(first, false);
	put_text(t->fd, "build/bzImage", "made");
	assert_changed(first, true);
	second = scan_anew(src, first);
	assert_bytes(second, "kernels/bzImage", "made");
	assert_sys(unlinkat(t->fd, "build/bzImage", 0));
	assert_changed(second, true);
}

static void links_that_stay_links(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int src = make_source(t);
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_tree_ struct tree *plain = NULL;

	put_text(t->fd, "build/bzImage", "x");
	put_text(src, "kernels/vmlinuz-1", "x");
	assert_sys(mkdirat(src, "kernels/sub", 0755));
	assert_sys(symlinkat("vmlinuz-1", src, "kernels/inside"));
	assert_sys(symlinkat("../../build", src, "kernels/directory"));
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/mine"));
	assert_sys(symlinkat("../../../build/bzImage", src, "kernels/sub/l"));
	assert_sys(symlinkat("../../build/bzImage", src, "other/l"));
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/theirs"));
	if (geteuid() == 0)
		assert_sys(fchownat(src, "kernels/theirs", 65534, 65534,
				    AT_SYMLINK_NOFOLLOW));
	tree = scan(src, &following, NULL);
	assert_bytes(tree, "kernels/mine", "x");
	assert_link(tree, "kernels/inside");
	assert_link(tree, "kernels/directory");
	assert_link(tree, "kernels/sub/l");
	assert_link(tree, "other/l");
	if (geteuid() == 0)
		assert_link(tree, "kernels/theirs");
	plain = scan(src, &scan_all, NULL);
	assert_link(plain, "kernels/mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(a_build_is_followed),
		scan_tests(whichever_thread_follows),
		scan_tests(a_link_that_leads_elsewhere_now),
		scan_tests(taken_unread),
		scan_tests(a_link_that_dangles),
		scan_tests(links_that_stay_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
