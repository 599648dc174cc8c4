/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A directory of the host as a tree: what is in it, and what stays out. */
#include "support.h"

#include <sys/sysmacros.h>

static void assert_attr(const struct tree *tree, int fd, const char *name)
{
	struct tree_info info;
	struct stat st;

	assert_sys(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW));
	get_info(tree, name, &info);
	assert_int_equal(info.attr.mode, st.st_mode);
	assert_int_equal(info.attr.uid, st.st_uid);
	assert_int_equal(info.attr.gid, st.st_gid);
	assert_int_equal(info.attr.mtime, st.st_mtim.tv_sec);
	assert_int_equal(info.attr.mtime_ns, st.st_mtim.tv_nsec);
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		assert_int_equal(info.size, st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		assert_int_equal(info.attr.major, major(st.st_rdev));
		assert_int_equal(info.attr.minor, minor(st.st_rdev));
	}
}

/* ---- what is in it ---- */

static void every_kind_of_entry(void **state)
{
	const struct temp *t = *state;
	static const struct timespec times[2] = { { 5, 6 },
						  { -77, 123456789 } };
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_info info;

	put_text(t->fd, "file", "hello");
	put_text(t->fd, "empty", "");
	assert_sys(fchmodat(t->fd, "file", 06751, 0));
	assert_sys(utimensat(t->fd, "file", times, 0));
	assert_sys(mkdirat(t->fd, "dir", 01777));
	assert_sys(mkfifoat(t->fd, "fifo", 0600));
	assert_sys(mknodat(t->fd, "socket", S_IFSOCK | 0600, 0));
	assert_sys(symlinkat("../over/there", t->fd, "link"));
	if (geteuid() == 0) {
		assert_sys(
			mknodat(t->fd, "char", S_IFCHR | 0600, makedev(1, 3)));
		assert_sys(mknodat(t->fd, "block", S_IFBLK | 0600,
				   makedev(259, 70000)));
		assert_sys(fchownat(t->fd, "link", 100000, 200000,
				    AT_SYMLINK_NOFOLLOW));
		assert_attr(tree = scan(t->fd, &scan_all, NULL), t->fd, "char");
		assert_attr(tree, t->fd, "block");
		tree_free(tree);
	}
	tree = scan(t->fd, &scan_all, NULL);
	assert_attr(tree, t->fd, "file");
	assert_attr(tree, t->fd, "empty");
	assert_attr(tree, t->fd, "dir");
	assert_attr(tree, t->fd, "fifo");
	assert_attr(tree, t->fd, "socket");
	assert_attr(tree, t->fd, "link");
	get_info(tree, "link", &info);
	assert_memory_equal(info.target, "../over/there", info.size);
	assert_int_equal(tree_skipped(tree), 0);
}

static void odd_names(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	char longest[256];
	const char *names[] = { "\xff\xfe", "a\nb",	"\\",	      " ",
				"...",	    "-rf *",	"\x01\x7f",   "%s%n",
				longest,    "\xc3\xa4", "lost+found2" };

	memset(longest, 'x', 255);
	longest[255] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_text(t->fd, names[i], names[i]);
	tree = scan(t->fd, &scan_all, NULL);
	assert_int_equal(tree_count(tree),
			 before_nodes + 1 + ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct tree_info info;

		get_info(tree, names[i], &info);
		assert_int_equal(info.size, strlen(names[i]));
	}
}

static void owners_that_are_set(void **state)
{
	const struct temp *t = *state;
	const struct tree_scan_options options = {
		.owner = TREE_OWNER_SET,
		.uid = 100000,
		.gid = 7,
	};
	_cleanup_tree_ struct tree *tree = NULL;

	put_text(t->fd, "file", "");
	tree = scan(t->fd, &options, NULL);
	for (tree_id id = 0; id < 2; id++) {
		struct tree_info info;

		tree_get(tree, id, &info);
		assert_int_equal(info.attr.uid, 100000);
		assert_int_equal(info.attr.gid, 7);
	}
}

/* ---- hard links ---- */

static void hard_links(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_info info;

	assert_sys(mkdirat(t->fd, "sub", 0755));
	put_text(t->fd, "sub/a", "text");
	assert_sys(linkat(t->fd, "sub/a", t->fd, "sub/b", 0));
	assert_sys(linkat(t->fd, "sub/a", t->fd, "z", 0));
	assert_sys(symlinkat("x", t->fd, "sub/s"));
	assert_sys(linkat(t->fd, "sub/s", t->fd, "s", 0));
	tree = scan(t->fd, &scan_all, NULL);
	get_info(tree, "sub/b", &info);
	assert_int_equal(info.inode, must_find(tree, "z"));
	assert_int_equal(info.nlink, 3);
	assert_int_equal(info.size, 4);
	get_info(tree, "sub/s", &info);
	assert_int_equal(info.inode, must_find(tree, "s"));
	assert_int_equal(info.nlink, 2);
	assert_memory_equal(info.target, "x", 1);
}

static void links_count_in_the_tree_alone(void **state)
{
	const struct temp *t = *state;
	struct tree_scan_options options = { .subdir = "boot" };
	struct tree_info info;

	assert_sys(mkdirat(t->fd, "boot", 0755));
	put_text(t->fd, "boot/a", "text");
	assert_sys(linkat(t->fd, "boot/a", t->fd, "b", 0));
	for (int half = 0; half < 2; half++) {
		_cleanup_tree_ struct tree *tree = NULL;

		options.part = half ? TREE_PART_WITHOUT : TREE_PART_SUBDIR;
		tree = scan(t->fd, &options, NULL);
		get_info(tree, half ? "b" : "boot/a", &info);
		assert_int_equal(info.nlink, 1);
		assert_int_equal(info.size, 4);
	}
}

/* ---- grafts ---- */

static struct tree_builder *make_grafts(void)
{
	struct tree_builder *b;
	builder_id grub, only, x;

	assert_ok(tree_builder_new(&b, &dir_attr));
	assert_ok(tree_builder_mkdirs(b, 0, "boot/grub", &dir_attr, &grub));
	add_file(b, grub, "grub.cfg", 111);
	add_file(b, grub, "module", 222);
	assert_ok(tree_builder_mkdirs(b, 0, "boot/grub/only/ours", &dir_attr,
				      &only));
	x = add_file(b, only, "x", 333);
	assert_ok(tree_builder_add_link(b, only, "y", 1, x));
	assert_ok(tree_builder_mkdirs(b, 0, "file/in-the-way", &dir_attr, &x));
	add_file(b, 0, "dir", 444);
	return b;
}

static void host_wins_and_directories_merge(void **state)
{
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *grafts = make_grafts();
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_info info;

	assert_sys(mkdirat(t->fd, "boot", 0700));
	assert_sys(mkdirat(t->fd, "boot/grub", 0700));
	put_text(t->fd, "boot/grub/grub.cfg", "user's");
	put_text(t->fd, "boot/grub/a", "");
	put_text(t->fd, "file", "user's");
	assert_sys(mkdirat(t->fd, "dir", 0700));
	put_text(t->fd, "dir/z", "");
	tree = scan(t->fd, &scan_all, grafts);
	assert_children(tree, "", "boot dir file ");
	assert_children(tree, "boot", "grub ");
	assert_children(tree, "boot/grub", "a grub.cfg module only ");
	assert_children(tree, "boot/grub/only/ours", "x y ");
	assert_children(tree, "dir", "z ");
	get_info(tree, "boot", &info);
	assert_int_equal(info.attr.mode, S_IFDIR | 0700);
	get_info(tree, "boot/grub/grub.cfg", &info);
	assert_int_equal(info.size, 6);
	assert_null(tree_content(tree, must_find(tree, "boot/grub/grub.cfg")));
	get_info(tree, "boot/grub/module", &info);
	assert_int_equal(info.size, 222);
	assert_non_null(
		tree_content(tree, must_find(tree, "boot/grub/module")));
	get_info(tree, "boot/grub/only/ours/y", &info);
	assert_int_equal(info.nlink, 2);
	get_info(tree, "file", &info);
	assert_int_equal(info.size, 6);
	/* The grafts went into the tree: nothing is left of them. */
	assert_ok(tree_builder_mkdirs(grafts, 0, "file", &dir_attr,
				      &(builder_id){ 0 }));
}

static void grafts_without_a_host(void **state)
{
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *grafts = make_grafts();
	_cleanup_tree_ struct tree *tree = scan(t->fd, &scan_all, grafts);

	assert_children(tree, "", "boot dir file ");
	assert_children(tree, "boot/grub", "grub.cfg module only ");
	assert_children(tree, "file/in-the-way", "");
}

static void reserved_stays_with_the_hosts_own(void **state)
{
	const struct temp *t = *state;
	_cleanup_builder_ struct tree_builder *grafts = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_info info;

	assert_sys(mkdirat(t->fd, "lost+found", 0755));
	put_text(t->fd, "lost+found/#12", "");
	tree = scan(t->fd, &scan_all, grafts);
	assert_children(tree, "lost+found", "#12 ");
	get_info(tree, "lost+found", &info);
	assert_true(info.reserved);
	assert_int_equal(info.attr.mode, S_IFDIR | 0755);
}

/* ---- holes ---- */

static void holes(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_close_ int fd = openat(t->fd, "sparse", O_RDWR | O_CREAT,
					0644);
	char data[70000];
	struct tree_info info;

	memset(data, 'd', sizeof(data));
	assert_ok(io_pwrite(fd, data, sizeof(data), 1 << 20));
	assert_ok(io_pwrite(fd, "x", 1, 8 << 20));
	assert_sys(ftruncate(fd, (UINT64_C(1) << 40) + 5));
	put_bytes(t->fd, "dense", data, sizeof(data));
	put_text(t->fd, "hole", "");
	{
		_cleanup_close_ int hole = openat(t->fd, "hole", O_RDWR);

		assert_sys(ftruncate(hole, 12345));
	}
	tree = scan(t->fd, &scan_all, NULL);
	get_info(tree, "sparse", &info);
	assert_true(info.sparse);
	assert_int_equal(info.n_extents, 2);
	assert_true(info.extents[0].start <= 1 << 20);
	assert_true(info.extents[0].end >= (1 << 20) + sizeof(data));
	assert_true(info.extents[0].end < 2 << 20);
	assert_true(info.extents[1].start <= 8 << 20);
	assert_true(info.extents[1].end > 8 << 20);
	assert_true(info.extents[1].end < 9 << 20);
	get_info(tree, "hole", &info);
	assert_true(info.sparse);
	assert_int_equal(info.n_extents, 0);
	get_info(tree, "dense", &info);
	assert_false(info.sparse);
}

/* ---- the host stays as it is ---- */

/* Longer than one call takes: the path is opened in steps. */
static void deeper_than_a_path_may_be(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_close_ int dir = dup(t->fd);
	_cleanup_close_ int fd = -1;
	char name[251];
	tree_id id = TREE_ROOT;
	char c = 0;

	memset(name, 'd', 250);
	name[250] = '\0';
	for (int depth = 0; depth < 40; depth++) {
		int next;

		assert_sys(mkdirat(dir, name, 0755));
		next = openat(dir, name, O_RDONLY | O_DIRECTORY);
		assert_sys(next);
		close(dir);
		dir = next;
	}
	put_text(dir, "file", "!");
	tree = scan(t->fd, &scan_all, NULL);
	assert_int_equal(tree_count(tree), before_nodes + 42);
	for (int depth = 0; depth < 40; depth++)
		id = tree_child(tree, id, name, 250);
	id = tree_child(tree, id, "file", 4);
	assert_int_not_equal(id, TREE_NONE);
	assert_ok(open_host(tree, id, &fd, NULL));
	assert_int_equal(io_pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, '!');
}

static void access_times_stay(void **state)
{
	const struct temp *t = *state;
	static const char *const names[] = { "dir/file", "dir" };
	static const struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_close_ int fd = -1;
	char c;

	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_text(t->fd, "dir/file", "!");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_sys(utimensat(t->fd, names[i], times, 0));
	tree = scan(t->fd, &scan_all, NULL);
	assert_ok(open_host(tree, must_find(tree, "dir/file"), &fd, NULL));
	assert_int_equal(io_pread(fd, &c, 1, 0), 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct stat st;

		assert_sys(fstatat(t->fd, names[i], &st, 0));
		assert_int_equal(st.st_atim.tv_sec, 1);
	}
}

static void no_descriptor_is_left(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int sparse = -1;
	int before = count_descriptors();
	struct tree *tree;

	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		assert_sys(mkdirat(t->fd, name, 0755));
	}
	sparse = openat(t->fd, "sparse", O_RDWR | O_CREAT, 0644);
	assert_sys(ftruncate(sparse, 1 << 20));
	before++; /* `sparse` */
	tree = scan(t->fd, &scan_all, NULL);
	assert_true(count_descriptors() <= before + 1);
	tree_free(tree);
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(every_kind_of_entry),
		scan_tests(odd_names),
		scan_tests(owners_that_are_set),
		scan_tests(hard_links),
		scan_tests(links_count_in_the_tree_alone),
		scan_tests(host_wins_and_directories_merge),
		scan_tests(grafts_without_a_host),
		scan_tests(reserved_stays_with_the_hosts_own),
		scan_tests(holes),
		scan_tests(deeper_than_a_path_may_be),
		scan_tests(access_times_stay),
		scan_tests(no_descriptor_is_left),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
