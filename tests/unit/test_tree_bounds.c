/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a scan of a host directory leaves out, and what it refuses. */
#include "support.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>

#define NOBODY 65534

/* ---- what stays out ---- */

static void pruned_directories_are_empty(void **state)
{
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *grafts = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_identity prune[2];
	const struct tree_scan_options options = { .prune = prune,
						   .n_prune = 2 };
	struct tree_info info;
	struct stat st;
	builder_id id;

	assert_sys(mkdirat(t->fd, "a", 0755));
	assert_sys(mkdirat(t->fd, "a/mnt", 0750));
	put_text(t->fd, "a/mnt/inside", "");
	put_text(t->fd, "a/beside", "");
	assert_sys(fstatat(t->fd, "a/mnt", &st, 0));
	prune[0] = (struct tree_identity){ st.st_dev + 1, st.st_ino };
	prune[1] = (struct tree_identity){ st.st_dev, st.st_ino };
	tree = scan(t->fd, &options, NULL);
	assert_children(tree, "a", "beside mnt ");
	assert_children(tree, "a/mnt", "");
	get_info(tree, "a/mnt", &info);
	assert_int_equal(info.attr.mode, S_IFDIR | 0750);
	tree_free(tree);
	/* What comes from us is still laid under it. */
	assert_ok(tree_builder_new(&grafts, &dir_attr));
	assert_ok(tree_builder_mkdirs(grafts, 0, "a/mnt", &dir_attr, &id));
	add_file(grafts, id, "graft", 1);
	tree = scan(t->fd, &options, grafts);
	assert_children(tree, "a/mnt", "graft ");
}

/* ---- what may not be read ---- */

/* As somebody to whom the modes matter; 0 if all is as it must be. */
static int scan_as_nobody(void *context)
{
	static const char *const left_out[] = { "dir/secret", "closed",
						"unlisted", "no-entry" };
	struct tree_scan_options options = { .unreadable =
						     TREE_UNREADABLE_SKIP };
	int fd = *(int *)context;
	struct diag diag = DIAG_INIT;
	struct tree *tree;

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	     setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return 1;
	if (try_scan(fd, &options, NULL, &tree, NULL) < 0)
		return 2;
	if (tree_skipped(tree) != ARRAY_SIZE(left_out))
		return 3;
	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
		if (tree_find(tree, left_out[i]) != TREE_NONE)
			return 10 + (int)i;
	if (tree_find(tree, "dir/open") == TREE_NONE ||
	    tree_find(tree, "fifo") == TREE_NONE ||
	    tree_find(tree, "link") == TREE_NONE)
		return 4;
	tree_free(tree);
	options.unreadable = TREE_UNREADABLE_ERROR;
	if (try_scan(fd, &options, NULL, &tree, &diag) != -EACCES)
		return 5;
	if (strncmp(diag.path, "/src/", 5) != 0 ||
	    !strstr(diag.reason, "--unreadable=skip"))
		return 6;
	diag_clear(&diag);
	return 0;
}

static void unreadable_entries(void **state)
{
	const struct temp *t = *state;
	int fd = t->fd;

	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_text(t->fd, "dir/secret", "");
	put_text(t->fd, "dir/open", "");
	assert_sys(fchmodat(t->fd, "dir/secret", 0, 0));
	assert_sys(mkdirat(t->fd, "closed", 0));
	assert_sys(mkdirat(t->fd, "unlisted", 0111));
	assert_sys(mkdirat(t->fd, "no-entry", 0444));
	/* Nothing of these is ever read. */
	assert_sys(mkfifoat(t->fd, "fifo", 0));
	assert_sys(symlinkat("dir/secret", t->fd, "link"));
	assert_int_equal(run_apart(scan_as_nobody, &fd), 0);
	assert_sys(fchmodat(t->fd, "closed", 0755, 0));
}

static int scan_closed_root(void *context)
{
	struct diag diag = DIAG_INIT;
	struct tree *tree;
	int ok;

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return 1;
	if (try_scan(*(int *)context, &scan_all, NULL, &tree, &diag) != -EACCES)
		return 2;
	ok = diag.path && strcmp(diag.path, "/src") == 0;
	diag_clear(&diag);
	return ok ? 0 : 3;
}

static void unreadable_root(void **state)
{
	const struct temp *t = *state;
	int fd = t->fd;

	assert_sys(fchmod(t->fd, 0));
	assert_int_equal(run_apart(scan_closed_root, &fd), 0);
	assert_sys(fchmod(t->fd, 0755));
}

static void root_that_is_no_directory(void **state)
{
	const struct temp *t = *state;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;
	struct tree *tree = NULL;

	put_text(t->fd, "file", "");
	fd = openat(t->fd, "file", O_RDONLY);
	assert_int_equal(
		tree_scan(fd, "/src/file", &scan_all, NULL, &tree, &diag),
		-ENOTDIR);
	assert_string_equal(diag.path, "/src/file");
	assert_int_equal(tree_scan(-1, "/src", &scan_all, NULL, &tree, &diag),
			 -EBADF);
	assert_null(tree);
}

/* ---- mounts ---- */

/* Something is mounted on a directory, and on a file. */
static int scan_mounts(void *context)
{
	const struct temp *t = context;
	char dir[128], file[128], other[128];
	struct tree_info info;
	struct tree *tree;

	int fd;

	snprintf(dir, sizeof(dir), "%s/dir", t->path);
	snprintf(file, sizeof(file), "%s/file", t->path);
	snprintf(other, sizeof(other), "%s/other", t->path);
	if (!private_mounts() ||
	    mount("none", dir, "tmpfs", 0, "size=64k") < 0 ||
	    mount(other, file, NULL, MS_BIND, NULL) < 0)
		return 1;
	put_text(AT_FDCWD, strcat(dir, "/above"), "");
	/* A descriptor of before would show what the old namespace has. */
	fd = open(t->path, O_RDONLY | O_DIRECTORY);
	if (try_scan(fd, &scan_all, NULL, &tree, NULL) < 0)
		return 2;
	get_info(tree, "dir", &info);
	if (!S_ISDIR(info.attr.mode) || info.n_children != 0)
		return 3;
	/* A file that could never be opened later must not promise bytes. */
	get_info(tree, "file", &info);
	if (!S_ISREG(info.attr.mode) || info.size != 0)
		return 4;
	get_info(tree, "other", &info);
	return info.size == 5 && info.inode == must_find(tree, "other") ? 0 : 5;
}

static void what_is_mounted_is_not_entered(void **state)
{
	struct temp *t = *state;

	if (geteuid() != 0)
		skip();
	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_text(t->fd, "dir/below", "");
	put_text(t->fd, "file", "covered");
	put_text(t->fd, "other", "bytes");
	assert_int_equal(run_apart(scan_mounts, t), 0);
}

/* ---- trees that change while they are read ---- */

struct change {
	int fd;
	void (*make)(int fd);
	uint64_t calls;
};

static void change_now(void *context, uint64_t entries)
{
	struct change *change = context;

	if (change->calls++ == 0)
		change->make(change->fd);
}

/* The change comes after the root was read, and before `z` is. */
static int scan_with(const struct temp *t, void (*make)(int fd),
		     struct tree **ret_tree, struct diag *diag)
{
	struct change change = { t->fd, make, 0 };
	/* Several threads could be at z before a is done. */
	const struct tree_scan_options options = { .threads = 1,
						   .progress = change_now,
						   .context = &change };
	int r;

	assert_sys(mkdirat(t->fd, "a", 0755));
	assert_sys(mkdirat(t->fd, "z", 0755));
	put_text(t->fd, "z/file", "");
	for (int i = 0; i < 1100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a/%d", i);
		put_text(t->fd, name, "");
	}
	r = tree_scan(t->fd, "/src", &options, NULL, ret_tree, diag);
	assert_true(change.calls > 0);
	return r;
}

static void replace_by_link(int fd)
{
	assert_sys(renameat(fd, "z", fd, "moved"));
	assert_sys(symlinkat("/etc", fd, "z"));
}

static void replace_by_directory(int fd)
{
	assert_sys(renameat(fd, "z", fd, "moved"));
	assert_sys(mkdirat(fd, "z", 0755));
}

static void replace_by_file(int fd)
{
	assert_sys(renameat(fd, "z", fd, "moved"));
	put_text(fd, "z", "");
}

static void remove_it(int fd)
{
	assert_sys(renameat(fd, "z", fd, "a/z"));
}

static void assert_noticed(void **state, void (*make)(int fd))
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct tree *tree = NULL;

	assert_int_equal(scan_with(*state, make, &tree, &diag), -EAGAIN);
	assert_string_equal(diag.path, "/src/z");
	assert_null(tree);
}

static void link_in_place_of_a_directory(void **state)
{
	assert_noticed(state, replace_by_link);
}

static void directory_in_place_of_another(void **state)
{
	assert_noticed(state, replace_by_directory);
}

static void file_in_place_of_a_directory(void **state)
{
	assert_noticed(state, replace_by_file);
}

static void directory_that_went(void **state)
{
	assert_noticed(state, remove_it);
}

static void mount_on_it(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/z", fd);
	assert_sys(mount("none", path, "tmpfs", 0, "size=64k"));
}

static int scan_while_mounting(void *context)
{
	struct temp t = *(const struct temp *)context;
	struct tree_info info;
	struct tree *tree;

	if (!private_mounts())
		return 1;
	t.fd = open(t.path, O_RDONLY | O_DIRECTORY);
	if (scan_with(&t, mount_on_it, &tree, NULL) < 0)
		return 2;
	get_info(tree, "z", &info);
	return info.n_children == 0 ? 0 : 3;
}

/* What was mounted on it meanwhile may be ourselves: it is not opened. */
static void mounted_meanwhile(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_apart(scan_while_mounting, *state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(pruned_directories_are_empty),
		scan_tests(unreadable_entries),
		scan_tests(unreadable_root),
		temp_test(root_that_is_no_directory),
		scan_tests(what_is_mounted_is_not_entered),
		temp_test(link_in_place_of_a_directory),
		temp_test(directory_in_place_of_another),
		temp_test(file_in_place_of_a_directory),
		temp_test(directory_that_went),
		temp_test(mounted_meanwhile),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
