/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A host file is opened only if it is still the one that was scanned: whatever
 * was put in its place, its bytes never come out, and its path is named.
 */
#include "support.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <time.h>

/* What a test replaces: sub/file, of these bytes, scanned. */
struct scanned {
	const struct temp *t;
	struct tree *tree;
	tree_id id;
};

static void scanned_free(struct scanned *s)
{
	tree_free(s->tree);
}

#define _cleanup_scanned_ _cleanup_(scanned_free)

static struct scanned scanned_new(void **state)
{
	static const struct timespec old[2] = { { 1000, 1 }, { 1000, 2 } };
	struct scanned s = { .t = *state };

	assert_sys(mkdirat(s.t->fd, "sub", 0755));
	put_text(s.t->fd, "sub/file", "bytes");
	assert_sys(utimensat(s.t->fd, "sub/file", old, 0));
	put_text(s.t->fd, "secret", "other");
	s.tree = scan(s.t->fd, &scan_all, NULL);
	s.id = must_find(s.tree, "sub/file");
	return s;
}

static void assert_fresh(const struct scanned *s)
{
	_cleanup_close_ int fd = -1;
	char buf[8] = "";

	assert_ok(open_host(s->tree, s->id, &fd, NULL));
	assert_int_equal(io_pread(fd, buf, sizeof(buf), 0), 5);
	assert_string_equal(buf, "bytes");
	assert_ok(tree_verify_host(s->tree, s->id, fd, NULL));
	assert_ok(tree_read(s->tree, s->id, buf, 3, 2, NULL));
	assert_string_equal(buf, "teses");
}

static void assert_stale(const struct scanned *s, const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	int fd = -7;
	char byte;

	/* Should it wait for a writer, be killed instead. */
	alarm(20);
	assert_int_equal(open_host(s->tree, s->id, &fd, &diag), -ESTALE);
	alarm(0);
	assert_int_equal(fd, -7);
	assert_string_equal(diag.path, "/src/sub/file");
	assert_contains(diag.reason, reason);
	assert_int_equal(open_host(s->tree, s->id, &fd, NULL), -ESTALE);
	assert_int_equal(tree_read(s->tree, s->id, &byte, 1, 2, NULL), -ESTALE);
}

/* Clocks of file systems tick slowly: what changes must be seen to. */
static void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static void restore_time(const struct scanned *s)
{
	static const struct timespec old[2] = { { 1000, 1 }, { 1000, 2 } };

	assert_sys(utimensat(s->t->fd, "sub/file", old, 0));
}

/* ---- the same file ---- */

static void unchanged(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_fresh(&s);
	put_text(s.t->fd, "sub/neighbour", "x");
	put_text(s.t->fd, "secret", "changed");
	assert_fresh(&s);
}

/* The root is held by a descriptor, not by its name. */
static void root_is_renamed(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);
	char other[80];

	snprintf(other, sizeof(other), "%s-moved", s.t->path);
	assert_sys(rename(s.t->path, other));
	assert_fresh(&s);
	assert_sys(rename(other, s.t->path));
}

static void grows(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	put_text(s.t->fd, "sub/file", "bytes and more");
	restore_time(&s);
	assert_stale(&s, "size");
}

static void is_written_in_place(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	put_text(s.t->fd, "sub/file", "BYTES");
	assert_stale(&s, "written");
}

/* Who sets the time back cannot set the time of change back. */
static void is_written_and_its_time_set_back(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	tick();
	put_text(s.t->fd, "sub/file", "BYTES");
	restore_time(&s);
	assert_stale(&s, "changed");
}

static void is_written_while_open(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;

	assert_ok(open_host(s.tree, s.id, &fd, NULL));
	assert_ok(tree_verify_host(s.tree, s.id, fd, NULL));
	put_text(s.t->fd, "sub/file", "BYTES");
	assert_int_equal(tree_verify_host(s.tree, s.id, fd, &diag), -ESTALE);
	assert_string_equal(diag.path, "/src/sub/file");
}

static void is_removed_while_open(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);
	_cleanup_close_ int fd = -1;

	assert_ok(open_host(s.tree, s.id, &fd, NULL));
	tick();
	assert_sys(unlinkat(s.t->fd, "sub/file", 0));
	assert_int_equal(tree_verify_host(s.tree, s.id, fd, NULL), -ESTALE);
}

static void a_descriptor_of_another(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);
	_cleanup_close_ int fd = openat(s.t->fd, "secret", O_RDONLY);
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(tree_verify_host(s.tree, s.id, fd, &diag), -ESTALE);
	assert_contains(diag.reason, "replaced");
}

/*
 * ---- something else in its place ----
 *
 * It may have the number of the inode that went.
 */

static void removed(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(unlinkat(s.t->fd, "sub/file", 0));
	assert_stale(&s, "removed");
}

static void its_directory_is_removed(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(renameat(s.t->fd, "sub", s.t->fd, "elsewhere"));
	assert_stale(&s, "removed");
	put_text(s.t->fd, "sub", "a file");
	assert_stale(&s, "removed");
}

/* Equal in size and times: only its inode tells it apart. */
static void another_file(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	put_text(s.t->fd, "sub/new", "BYTES");
	assert_sys(renameat(s.t->fd, "sub/new", s.t->fd, "sub/file"));
	restore_time(&s);
	assert_stale(&s, "replaced");
}

static void link_to_a_secret(void **state)
{
	static const char *const targets[] = { "../secret", "/etc/passwd",
					       "moved" };

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		_cleanup_scanned_ struct scanned s = scanned_new(state);

		/* Even if it leads to the very file. */
		assert_sys(renameat(s.t->fd, "sub/file", s.t->fd, "sub/moved"));
		assert_sys(symlinkat(targets[i], s.t->fd, "sub/file"));
		assert_stale(&s, "removed");
		assert_sys(unlinkat(s.t->fd, "sub/file", 0));
		assert_sys(unlinkat(s.t->fd, "sub/moved", 0));
		assert_sys(unlinkat(s.t->fd, "sub", AT_REMOVEDIR));
	}
}

static void directory_becomes_a_link(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(mkdirat(s.t->fd, "trap", 0755));
	put_text(s.t->fd, "trap/file", "other");
	assert_sys(renameat(s.t->fd, "sub", s.t->fd, "moved"));
	assert_sys(symlinkat("trap", s.t->fd, "sub"));
	assert_stale(&s, "removed");
	assert_sys(unlinkat(s.t->fd, "sub", 0));
	assert_sys(symlinkat("moved", s.t->fd, "sub"));
	assert_stale(&s, "removed");
}

static void directory(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(unlinkat(s.t->fd, "sub/file", 0));
	assert_sys(mkdirat(s.t->fd, "sub/file", 0755));
	assert_stale(&s, "since the disk was made");
}

static void fifo(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(unlinkat(s.t->fd, "sub/file", 0));
	assert_sys(mkfifoat(s.t->fd, "sub/file", 0644));
	assert_stale(&s, "since the disk was made");
}

static void socket_file(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	assert_sys(unlinkat(s.t->fd, "sub/file", 0));
	assert_sys(mknodat(s.t->fd, "sub/file", S_IFSOCK | 0644, 0));
	assert_stale(&s, "replaced");
}

/* One that is there, and one that no driver has. */
static void device(void **state)
{
	static const unsigned minors[] = { 3, 200 };

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		_cleanup_scanned_ struct scanned s = scanned_new(state);

		assert_sys(unlinkat(s.t->fd, "sub/file", 0));
		assert_sys(mknodat(s.t->fd, "sub/file", S_IFCHR | 0644,
				   makedev(1, minors[i])));
		assert_stale(&s, "since the disk was made");
		assert_sys(unlinkat(s.t->fd, "sub/file", 0));
		assert_sys(unlinkat(s.t->fd, "sub", AT_REMOVEDIR));
	}
}

/* ---- names of one inode ---- */

static void by_a_further_name(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_close_ int fd = -1;
	char buf[8] = "";

	put_text(t->fd, "z", "bytes");
	assert_sys(mkdirat(t->fd, "a", 0755));
	assert_sys(linkat(t->fd, "z", t->fd, "a/other", 0));
	tree = scan(t->fd, &scan_all, NULL);
	assert_ok(open_host(tree, must_find(tree, "a/other"), &fd, NULL));
	assert_int_equal(io_pread(fd, buf, sizeof(buf), 0), 5);
	assert_string_equal(buf, "bytes");
}

/* ---- something mounted on it since ---- */

static int open_mounted(void *context)
{
	const struct temp *t = context;
	char file[128], other[128];
	struct tree *tree;
	int root, fd;

	snprintf(file, sizeof(file), "%s/sub/file", t->path);
	snprintf(other, sizeof(other), "%s/secret", t->path);
	if (!private_mounts())
		return 1;
	root = open(t->path, O_RDONLY | O_DIRECTORY);
	if (try_scan(root, &scan_all, NULL, &tree, NULL) < 0)
		return 2;
	if (open_host(tree, tree_find(tree, "sub/file"), &fd, NULL) < 0)
		return 3;
	if (mount(other, file, NULL, MS_BIND, NULL) < 0)
		return 4;
	if (open_host(tree, tree_find(tree, "sub/file"), &fd, NULL) != -ESTALE)
		return 5;
	return 0;
}

static void mounted_over(void **state)
{
	_cleanup_scanned_ struct scanned s = scanned_new(state);

	if (geteuid() != 0)
		skip();
	assert_int_equal(run_apart(open_mounted, *state), 0);
	assert_fresh(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(unchanged),
		scan_tests(root_is_renamed),
		scan_tests(grows),
		scan_tests(is_written_in_place),
		scan_tests(is_written_and_its_time_set_back),
		scan_tests(is_written_while_open),
		scan_tests(is_removed_while_open),
		scan_tests(a_descriptor_of_another),
		scan_tests(removed),
		scan_tests(its_directory_is_removed),
		scan_tests(another_file),
		scan_tests(link_to_a_secret),
		scan_tests(directory_becomes_a_link),
		scan_tests(directory),
		scan_tests(fifo),
		scan_tests(socket_file),
		scan_tests(device),
		scan_tests(by_a_further_name),
		scan_tests(mounted_over),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
