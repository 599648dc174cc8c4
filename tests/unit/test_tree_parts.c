/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A host directory that is split over several trees. */
#include "support.h"

/* ---- one directory of the root ---- */

static void halves(void **state)
{
	const struct temp *t = *state;
	struct tree_scan_options options = { .subdir = "boot" };
	_cleanup_tree_ struct tree *one = NULL;
	_cleanup_tree_ struct tree *rest = NULL;
	_cleanup_tree_ struct tree *both = NULL;

	assert_sys(mkdirat(t->fd, "boot", 0755));
	assert_sys(mkdirat(t->fd, "boot/boot", 0755));
	put_text(t->fd, "boot/boot/x", "");
	assert_sys(mkdirat(t->fd, "etc", 0755));
	assert_sys(mkdirat(t->fd, "etc/boot", 0755));
	put_text(t->fd, "etc/boot/y", "");
	put_text(t->fd, "boot2", "");
	put_text(t->fd, "boo", "");
	both = scan(t->fd, &options, NULL);
	assert_children(both, "", "boo boot boot2 etc ");
	options.part = TREE_PART_SUBDIR;
	one = scan(t->fd, &options, NULL);
	assert_children(one, "", "boot ");
	assert_children(one, "boot/boot", "x ");
	options.part = TREE_PART_WITHOUT;
	rest = scan(t->fd, &options, NULL);
	assert_children(rest, "", "boo boot2 etc ");
	assert_children(rest, "etc/boot", "y ");
}

/* A boot that is no directory belongs to the rest, as any file does. */
static void half_that_is_no_directory(void **state)
{
	const struct temp *t = *state;
	struct tree_scan_options options = { .subdir = "boot" };
	_cleanup_tree_ struct tree *one = NULL;
	_cleanup_tree_ struct tree *rest = NULL;

	assert_sys(symlinkat("/etc", t->fd, "boot"));
	options.part = TREE_PART_SUBDIR;
	one = scan(t->fd, &options, NULL);
	assert_int_equal(tree_count(one), 1);
	options.part = TREE_PART_WITHOUT;
	rest = scan(t->fd, &options, NULL);
	assert_children(rest, "", "boot ");
}

/* ---- archives ---- */

static bool ends_in_d(const char *name, size_t len)
{
	return len > 2 && memcmp(name + len - 2, ".d", 2) == 0;
}

static struct tree *scan_part(int fd, enum tree_part part)
{
	const struct tree_scan_options options = { .part = part,
						   .subdir = "boot",
						   .archives_in = "kernels",
						   .is_archive = ends_in_d };

	return scan(fd, &options, NULL);
}

static void put_archives(int fd)
{
	static const char *const dirs[] = {
		"kernels",
		"kernels/a.d",
		"kernels/a.d/b.d",
		"kernels/mine",
		"kernels/mine/d",
		"kernels/mine/c.d",
		"kernels/mine.d2",
		"kernels/mine/d/deep.d",
		"etc",
		"etc/x.d",
		"x.d",
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		assert_sys(mkdirat(fd, dirs[i], 0755));
	put_text(fd, "kernels/file.d", "a file");
	put_text(fd, "kernels/a.d/b.d/file", "");
	put_text(fd, "kernels/mine/file.d", "a file");
	put_text(fd, "kernels/mine/c.d/file", "");
	assert_sys(symlinkat("a.d", fd, "kernels/link.d"));
}

static void archives(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *apart = NULL;
	_cleanup_tree_ struct tree *rest = NULL;

	put_archives(t->fd);
	apart = scan_part(t->fd, TREE_PART_ARCHIVES);
	assert_children(apart, "", "kernels ");
	assert_children(apart, "kernels", "a.d mine mine.d2 ");
	assert_children(apart, "kernels/a.d", "b.d ");
	assert_children(apart, "kernels/a.d/b.d", "file ");
	assert_children(apart, "kernels/mine", "c.d ");
	assert_children(apart, "kernels/mine/c.d", "file ");
	assert_children(apart, "kernels/mine.d2", "");
	rest = scan_part(t->fd, TREE_PART_WITHOUT);
	assert_children(rest, "", "etc kernels x.d ");
	assert_children(rest, "etc", "x.d ");
	assert_children(rest, "kernels", "file.d link.d mine mine.d2 ");
	assert_children(rest, "kernels/mine", "d file.d ");
	assert_children(rest, "kernels/mine/d", "deep.d ");
}

static void no_archives(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *none = scan_part(t->fd, TREE_PART_ARCHIVES);
	_cleanup_tree_ struct tree *file = NULL;

	assert_int_equal(tree_count(none), 1);
	put_text(t->fd, "kernels", "");
	file = scan_part(t->fd, TREE_PART_ARCHIVES);
	assert_int_equal(tree_count(file), 1);
}

/* What cannot be read belongs to one part alone. */
static int scan_unreadable(void *context)
{
	const struct temp *t = context;
	struct tree_scan_options options = {
		.unreadable = TREE_UNREADABLE_SKIP,
		.archives_in = "kernels",
		.is_archive = ends_in_d,
	};
	uint64_t skipped = 0;

	if (setresuid(65534, 65534, 65534) < 0)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		struct tree *tree;

		options.part = i ? TREE_PART_ARCHIVES : TREE_PART_WITHOUT;
		if (try_scan(t->fd, &options, NULL, &tree, NULL) < 0)
			return 2;
		skipped += tree_skipped(tree);
		tree_free(tree);
	}
	return skipped == 2 ? 0 : 3;
}

static void unreadable_once(void **state)
{
	struct temp *t = *state;

	if (geteuid() != 0)
		skip();
	put_archives(t->fd);
	assert_sys(fchmodat(t->fd, "kernels/mine", 0, 0));
	assert_sys(fchmodat(t->fd, "kernels/a.d", 0, 0));
	assert_int_equal(run_apart(scan_unreadable, t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(halves),
		scan_tests(half_that_is_no_directory),
		scan_tests(archives),
		scan_tests(no_archives),
		scan_tests(unreadable_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
