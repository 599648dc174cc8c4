/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Generations: what stays, who holds them, and what they are told of. */
#include "support_live.h"

#include <malloc.h>

#include "boot_tree.h"
#include "live/state.h"

static void put_kernel(int dir, const char *name)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = kernel_bytes("1.2 x", 0, &len);

	put_bytes(dir, name, bytes, len);
}

/* ---- what stays ---- */

static void unchanged_stays(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *first = NULL;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	first = newest(live);
	assert_int_equal(generation_number(first), 1);
	for (unsigned i = 0; i < 100; i++) {
		_cleanup_generation_ struct generation *g = newest(live);

		assert_ptr_equal(g, first);
		assert_false(rescan_is_due(live));
	}
}

/* Reading is no change, nor is opening for writing and not doing it. */
static void touching_is_no_change(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *first = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	char buf[8];

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	first = newest(live);
	close(openat(t->fd, "kernels/a", O_RDWR));
	base_closep(&(int){ openat(t->fd, "kernels/b", O_RDONLY) });
	assert_int_equal(readlinkat(t->fd, "kernels/link", buf, 8), 1);
	g = newest(live);
	assert_ptr_equal(g, first);
	assert_false(rescan_is_due(live));
}

static void the_cause_names_what_changed(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	struct timespec now;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	put_text(t->fd, "kernels/sub/a\nb", "x");
	put_text(t->fd, "kernels/a", "x");
	assert_sys(unlinkat(t->fd, "other/d", 0));
	g = newest(live);
	assert_contains(generation_reason(g), "kernels/sub/a\\x0ab: created\n");
	assert_contains(generation_reason(g), "kernels/a: written\n");
	assert_contains(generation_reason(g), "other/d: removed\n");
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - generation_time(g) / 1000000000, 0, 60);
	generation_unref(take_ptr(g));
	for (unsigned i = 0; i < 130; i++) {
		char name[32];

		snprintf(name, sizeof(name), "other/%u", i);
		put_text(t->fd, name, "");
	}
	g = newest(live);
	assert_contains(generation_reason(g), "other/99: created\n");
	assert_contains(generation_reason(g), "and 30 more\n");
	assert_null(strstr(generation_reason(g), "kernels/a"));
}

static void menu_and_kernels_can_be_read(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_free_ char *menu = NULL;
	_cleanup_free_ char *kernels = NULL;

	make_dirs(t->fd);
	put_kernel(t->fd, "kernels/vmlinuz-6.1");
	put_text(t->fd, "kernels/initrd.img-6.1", "initrd");
	assert_sys(symlinkat("nowhere", t->fd, "kernels/vmlinuz-6.2"));
	assert_sys(mkdirat(t->fd, "boot", 0755));
	assert_sys(mkdirat(t->fd, "boot/grub", 0755));
	put_text(t->fd, "boot/grub/grub.cfg", "echo mine\n");
	live = live_of(t->fd, NULL);
	g = newest(live);
	assert_ok(generation_menu(g, &menu));
	assert_string_equal(menu, "echo mine\n");
	assert_ok(generation_kernels(g, &kernels));
	assert_contains(kernels, "6.1      /kernels/vmlinuz-6.1  "
				 "/kernels/initrd.img-6.1\n");
	assert_contains(kernels, "/kernels/vmlinuz-6.2: leads to no file");
	assert_contains(kernels, "/kernels/a: has no kernel's name");
	assert_null(strstr(kernels, "initrd.img-6.1:"));
}

/* ---- the boot loader ---- */

static void modules_of_its_own_are_told_of_once(void **state)
{
	const struct temp *t = *state;
	struct notices notices = { 0 };
	const struct live_options options = {
		.image = { .src_fd = t->fd, .src_path = "/src" },
		.notice = count_notice,
		.context = &notices,
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_free_ char *menu = NULL;

	make_dirs(t->fd);
	assert_ok(live_new(&live, &options, NULL));
	put_kernel(t->fd, "kernels/vmlinuz-1.2");
	g = newest(live);
	assert_ok(generation_menu(g, &menu));
	assert_contains(menu, "/kernels/vmlinuz-1.2");
	assert_int_equal(notices.n, 0);
	assert_sys(mkdirat(t->fd, "boot", 0755));
	assert_sys(mkdirat(t->fd, "boot/grub", 0755));
	assert_sys(mkdirat(t->fd, "boot/grub/i386-pc", 0755));
	for (unsigned i = 0; i < 3; i++) {
		put_text(t->fd, "boot/grub/i386-pc/mine.mod", "module");
		generation_unref(take_ptr(g));
		g = newest(live);
		assert_int_equal(generation_number(g), i + 3);
		assert_int_equal(notices.n, 1);
	}
	assert_string_equal(
		notices.last,
		"boot/grub/i386-pc: mount again to boot with its modules");
}

/* ---- lives ---- */

static void generations_outlive_what_made_them(void **state)
{
	const struct temp *t = *state;
	_cleanup_generation_ struct generation *g = NULL;
	struct live *live;
	uint8_t buf[4096];

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	g = newest(live);
	live_free(live);
	for (uint64_t at = 0; at < image_size(generation_image(g));
	     at = image_next_data(generation_image(g), at + 4096))
		assert_ok(
			image_pread(generation_image(g), buf, 4096, at, NULL));
	assert_is_now(g, t->fd);
}

static void a_thousand_generations_leave_nothing(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	size_t held = 0;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	for (unsigned i = 0; i < 1000; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		char name[32];

		snprintf(name, sizeof(name), "other/dir%u", i % 2);
		if (i % 4 < 2)
			assert_sys(mkdirat(t->fd, name, 0755));
		else
			assert_sys(unlinkat(t->fd, name, AT_REMOVEDIR));
		g = newest(live);
		assert_int_equal(generation_number(g), i + 2);
		if (i == 200)
			held = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks < held + 100000);
	assert_in_range(live->watch->held.count, 1, 20);
}

/* ---- where the source is ---- */

/* The path of t/src, and its live tree. */
static struct live *live_at(const struct temp *t, char path[PATH_MAX])
{
	_cleanup_close_ int fd = -1;
	struct live_options options = { 0 };
	struct live *live;

	snprintf(path, PATH_MAX, "%s/src", t->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options = (struct live_options){
		.image = {
			.src_fd = fd,
			.src_path = path,
			.boot.no_grub = true,
		},
		.path = path,
	};
	assert_ok(live_new(&live, &options, NULL));
	live_start_thread(live);
	return live;
}

static void put_source(const struct temp *t, const char *name, const char *file)
{
	char path[PATH_MAX];

	assert_sys(mkdirat(t->fd, name, 0755));
	snprintf(path, sizeof(path), "%s/%s", name, file);
	put_text(t->fd, path, file);
}

static void assert_holds(struct live *live, const char *file)
{
	_cleanup_generation_ struct generation *g = newest(live);
	_cleanup_close_ int fd = -1;
	struct tree_info root;

	tree_get(tree_of(g), TREE_ROOT, &root);
	assert_int_equal(root.n_children, 2); /* and lost+found */
	assert_ok(
		open_host(tree_of(g), must_find(tree_of(g), file), &fd, NULL));
}

static void assert_none(struct live *live, int err, const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct generation *g;

	for (unsigned i = 0; i < 3; i++) {
		diag_clear(&diag);
		assert_int_equal(live_newest(live, &g, &diag), err);
		assert_contains(diag.path, "/src");
		assert_contains(diag.reason, reason);
	}
}

static void the_source_is_where_its_path_leads(void **state)
{
	const struct temp *t = *state;
	_cleanup_generation_ struct generation *first = NULL;
	_cleanup_generation_ struct generation *last = NULL;
	_cleanup_generation_ struct generation *same = NULL;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_close_ int file = -1;
	char path[PATH_MAX];

	put_source(t, "src", "one");
	live = live_at(t, path);
	first = newest(live);
	assert_holds(live, "one");
	assert_sys(renameat(t->fd, "src", t->fd, "old"));
	assert_none(live, -ENOENT, "no such directory");
	put_source(t, "src", "two");
	assert_holds(live, "two");
	put_text(t->fd, "src/two", "and watched");
	assert_holds(live, "two");
	/* The old one is where it was, to those who hold it. */
	assert_ok(open_host(tree_of(first), must_find(tree_of(first), "one"),
			    &file, NULL));
	assert_sys(renameat2(t->fd, "src", t->fd, "old", RENAME_EXCHANGE));
	assert_holds(live, "one");
	/* The same directory by another way is no change. */
	do { /* until no directory is to be read once more */
		generation_unref(last);
		last = newest(live);
	} while (live->watch->seen.watches.count > 0);
	assert_sys(renameat(t->fd, "src", t->fd, "moved"));
	assert_sys(symlinkat("moved", t->fd, "src"));
	assert_holds(live, "one");
	same = newest(live);
	assert_int_equal(generation_number(same), generation_number(last));
	assert_sys(unlinkat(t->fd, "src", 0));
	assert_sys(symlinkat("old/.", t->fd, "src"));
	assert_holds(live, "two");
	assert_sys(unlinkat(t->fd, "src", 0));
	assert_sys(symlinkat("src", t->fd, "src"));
	assert_none(live, -ELOOP, "");
	assert_sys(unlinkat(t->fd, "src", 0));
	put_text(t->fd, "src", "a file");
	assert_none(live, -ENOTDIR, "not a directory");
	assert_sys(unlinkat(t->fd, "src", 0));
	assert_sys(renameat(t->fd, "old", t->fd, "src"));
	assert_holds(live, "two");
}

/* Its number is given to the next directory at once, or not: both are new. */
static void a_source_that_is_made_again_and_again(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	char path[PATH_MAX];

	put_source(t, "src", "file");
	live = live_at(t, path);
	for (unsigned i = 0; i < 100; i++) {
		const char *names[] = { "src/a", "src/b" };

		assert_sys(unlinkat(t->fd, i ? names[i % 2] : "src/file", 0));
		assert_sys(unlinkat(t->fd, "src", AT_REMOVEDIR));
		put_source(t, "src", i % 2 ? "a" : "b");
		assert_holds(live, i % 2 ? "a" : "b");
	}
	assert_in_range(live->watch->held.count, 1, 3);
}

/* What makes no disk is an error each time, until it is mended. */
static void a_wrong_tree_is_an_error_until_it_is_mended(void **state)
{
	const struct temp *t = *state;
	struct live_options options = {
		.image = {
			.src_fd = t->fd,
			.src_path = "/src",
			.boot.no_grub = true,
			.size = 64 << 20,
		},
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_close_ int large = -1;

	make_dirs(t->fd);
	assert_ok(live_new(&live, &options, NULL));
	large = openat(t->fd, "other/large", O_WRONLY | O_CREAT, 0644);
	assert_sys(fallocate(large, 0, 0, 80 << 20));
	assert_int_equal(live_newest(live, &g, NULL), -ENOSPC);
	assert_int_equal(live_newest(live, &g, NULL), -ENOSPC);
	assert_sys(unlinkat(t->fd, "other/large", 0));
	g = newest(live);
	assert_is_now(g, t->fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(unchanged_stays),
		temp_test(touching_is_no_change),
		temp_test(the_cause_names_what_changed),
		temp_test(menu_and_kernels_can_be_read),
		temp_test(modules_of_its_own_are_told_of_once),
		temp_test(generations_outlive_what_made_them),
		temp_test(a_thousand_generations_leave_nothing),
		temp_test(the_source_is_where_its_path_leads),
		temp_test(a_source_that_is_made_again_and_again),
		temp_test(a_wrong_tree_is_an_error_until_it_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
