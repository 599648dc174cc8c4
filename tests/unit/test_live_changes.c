/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whoever asks for the newest generation gets the tree as it is now. */
#include "support_live.h"

#include <sys/xattr.h>

#include "live/state.h"

/* ---- every change is seen ---- */

static void create(int fd)
{
	put_text(fd, "kernels/new", "x");
}

static void overwrite(int fd)
{
	_cleanup_close_ int file = openat(fd, "kernels/a", O_WRONLY);

	assert_ok(io_pwrite(file, "ONE", 3, 0));
}

static void append(int fd)
{
	_cleanup_close_ int file = openat(fd, "kernels/sub/c",
					  O_WRONLY | O_APPEND);

	assert_int_equal(write(file, "more", 4), 4);
}

static void truncate_file(int fd)
{
	_cleanup_close_ int file = openat(fd, "kernels/a", O_WRONLY);

	assert_sys(ftruncate(file, 1));
}

static void change_mode(int fd)
{
	assert_sys(fchmodat(fd, "kernels/sub/c", 0600, 0));
}

static void change_directory(int fd)
{
	assert_sys(fchmodat(fd, "kernels/sub", 0700, 0));
}

static void change_root(int fd)
{
	assert_sys(fchmod(fd, 0711));
}

static void change_times(int fd)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };

	assert_sys(utimensat(fd, "kernels/a", times, 0));
}

static void rename_within(int fd)
{
	assert_sys(renameat(fd, "kernels/a", fd, "kernels/z"));
}

static void rename_across(int fd)
{
	assert_sys(renameat(fd, "kernels/a", fd, "other/a"));
}

static void rename_out(int fd)
{
	assert_sys(renameat(fd, "kernels/a", fd, "../dirdisk-unit-moved"));
	assert_sys(unlinkat(fd, "../dirdisk-unit-moved", 0));
}

static void rename_into(int fd)
{
	put_text(fd, "../dirdisk-unit-moving", "moved");
	assert_sys(renameat(fd, "../dirdisk-unit-moving", fd, "kernels/moved"));
}

static void replace(int fd)
{
	put_text(fd, "../dirdisk-unit-moving", "new");
	assert_sys(renameat(fd, "../dirdisk-unit-moving", fd, "kernels/a"));
}

static void exchange(int fd)
{
	assert_sys(renameat2(fd, "kernels/a", fd, "other/d", RENAME_EXCHANGE));
}

static void delete_file(int fd)
{
	assert_sys(unlinkat(fd, "kernels/sub/c", 0));
}

static void delete_directory(int fd)
{
	assert_sys(unlinkat(fd, "kernels/sub/c", 0));
	assert_sys(unlinkat(fd, "kernels/sub", AT_REMOVEDIR));
}

static void new_directory(int fd)
{
	assert_sys(mkdirat(fd, "kernels/deep", 0755));
	assert_sys(mkdirat(fd, "kernels/deep/er", 0755));
	put_text(fd, "kernels/deep/er/file", "there at once");
}

static void rename_directory(int fd)
{
	assert_sys(renameat(fd, "kernels/sub", fd, "other/sub"));
}

static void replace_directory(int fd)
{
	assert_sys(renameat2(fd, "kernels/sub", fd, "other", RENAME_EXCHANGE));
}

static void link_file(int fd)
{
	assert_sys(linkat(fd, "kernels/a", fd, "other/linked", 0));
}

static void link_beside(int fd)
{
	assert_sys(linkat(fd, "kernels/a", fd, "kernels/linked", 0));
}

static void change_link(int fd)
{
	assert_sys(symlinkat("b", fd, "kernels/link.new"));
	assert_sys(renameat(fd, "kernels/link.new", fd, "kernels/link"));
}

static void set_xattr(int fd)
{
	_cleanup_close_ int file = openat(fd, "kernels/a", O_RDONLY);

	assert_sys(fsetxattr(file, "user.test", "1", 1, 0));
}

static void make_hole(int fd)
{
	_cleanup_close_ int file = openat(fd, "kernels/a", O_WRONLY);

	assert_sys(ftruncate(file, 1 << 20));
	assert_ok(io_pwrite(file, "end", 3, 1 << 20));
}

static void make_special(int fd)
{
	assert_sys(mkfifoat(fd, "other/fifo", 0644));
}

static const struct change {
	const char *name;
	void (*make)(int fd);
} changes[] = {
	{ "create", create },
	{ "overwrite", overwrite },
	{ "append", append },
	{ "truncate", truncate_file },
	{ "mode", change_mode },
	{ "mode of a directory", change_directory },
	{ "mode of the root", change_root },
	{ "times", change_times },
	{ "rename within", rename_within },
	{ "rename across", rename_across },
	{ "rename out", rename_out },
	{ "rename into", rename_into },
	{ "replace", replace },
	{ "exchange", exchange },
	{ "delete", delete_file },
	{ "delete a directory", delete_directory },
	{ "new directory", new_directory },
	{ "rename a directory", rename_directory },
	{ "exchange directories", replace_directory },
	{ "link", link_file },
	{ "link beside", link_beside },
	{ "symbolic link", change_link },
	{ "extended attribute", set_xattr },
	{ "hole", make_hole },
	{ "special file", make_special },
};

static void try_changes(const struct temp *t, bool rest_between)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_live_ struct live *live = NULL;
		_cleanup_generation_ struct generation *before = NULL;
		_cleanup_generation_ struct generation *after = NULL;

		_cleanup_close_ int fd = -1;
		char name[32];

		snprintf(name, sizeof(name), "tree%zu.%d", i, rest_between);
		assert_sys(mkdirat(t->fd, name, 0755));
		fd = openat(t->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_sys(fd);
		make_dirs(fd);
		live = live_of(fd, NULL);
		before = newest(live);
		/* The thread has taken the event, or the call must. */
		changes[i].make(fd);
		if (rest_between)
			usleep(30000);
		after = newest(live);
		if (after == before)
			fail_msg("unseen: %s", changes[i].name);
		assert_int_equal(generation_number(after), 2);
		assert_is_now(after, fd);
	}
}

static void every_change_is_seen_at_once(void **state)
{
	try_changes(*state, false);
}

static void every_change_is_seen_by_the_thread(void **state)
{
	try_changes(*state, true);
}

static void changes_of_all_kinds_in_a_row(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	uint64_t seed = random_begin();
	uint64_t number = 1;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	for (unsigned i = 0; i < 300; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		char name[64], other[64];

		snprintf(name, sizeof(name), "%s/f%u",
			 random_below(&seed, 2) ? "kernels/sub" : "other",
			 (unsigned)random_below(&seed, 5));
		snprintf(other, sizeof(other), "%s/f%u",
			 random_below(&seed, 2) ? "kernels" : "other",
			 (unsigned)random_below(&seed, 5));
		switch (random_below(&seed, 6)) {
		case 0:
			put_bytes(t->fd, name, name, random_below(&seed, 20));
			break;
		case 1:
			(void)renameat(t->fd, name, t->fd, other);
			break;
		case 2:
			(void)linkat(t->fd, name, t->fd, other, 0);
			break;
		case 3:
			(void)unlinkat(t->fd, name, 0);
			break;
		case 4:
			(void)fchmodat(t->fd, other, 0600 + (i & 077), 0);
			break;
		default:
			assert_sys(renameat(t->fd, "kernels/sub", t->fd,
					    "kernels/renamed"));
			assert_sys(renameat(t->fd, "kernels/renamed", t->fd,
					    "kernels/sub"));
		}
		g = newest(live);
		assert_is_now(g, t->fd);
		assert_true(generation_number(g) - number <= 1);
		number = generation_number(g);
	}
	assert_true(number > 100);
}

/* ---- what no watch tells ---- */

/* Somewhere on the disk that is the file's. */
static int read_file(struct generation *g, const char *path)
{
	const struct image *image = generation_image(g);
	uint8_t buf[4096];
	uint64_t at;

	at = find_on_disk(image, 2, must_find(tree_of(g), path), 0);
	return image_pread(image, buf, sizeof(buf), at, NULL);
}

/* A name outside of the source is not watched; a read finds out. */
static void what_a_read_finds_stale_is_scanned_again(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *first = NULL;
	_cleanup_generation_ struct generation *second = NULL;
	_cleanup_close_ int src = -1;

	assert_sys(mkdirat(t->fd, "src", 0755));
	src = openat(t->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(src);
	assert_sys(linkat(src, "other/d", t->fd, "outside", 0));
	live = live_of(src, NULL);
	first = newest(live);
	assert_ok(read_file(first, "other/d"));
	put_text(t->fd, "outside", "longer than before");
	assert_int_equal(read_file(first, "other/d"), -ESTALE);
	second = newest(live);
	assert_int_equal(generation_number(second), 2);
	assert_contains(generation_reason(second), "other/d: changed\n");
	assert_ok(read_file(second, "other/d"));
	assert_is_now(second, src);
	generation_unref(newest(live));
	assert_false(rescan_is_due(live));
}

/* kernels/bzImage leads to a build. */
static void builds_are_seen(void **state)
{
	const struct temp *t = *state;
	struct live_options options = {
		.image = {
			.src_path = "/src",
			.boot.no_grub = true,
			.scan.follow = "kernels",
		},
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_generation_ struct generation *again = NULL;
	_cleanup_close_ int src = -1;
	struct tree_info info;

	assert_sys(mkdirat(t->fd, "src", 0755));
	assert_sys(mkdirat(t->fd, "build", 0755));
	src = openat(t->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(src);
	put_text(t->fd, "build/bzImage", "one");
	assert_sys(symlinkat("../../build/bzImage", src, "kernels/bzImage"));
	options.image.src_fd = src;
	assert_ok(live_new(&live, &options, NULL));
	for (unsigned i = 0; i < 3; i++) {
		/* Written, replaced, leading to another. */
		if (i == 1) {
			put_text(t->fd, "build/new", "another");
			assert_sys(renameat(t->fd, "build/new", t->fd,
					    "build/bzImage"));
		} else if (i == 2) {
			assert_sys(renameat(t->fd, "build", t->fd, "old"));
			assert_sys(mkdirat(t->fd, "build", 0755));
			put_text(t->fd, "build/bzImage", "yet another");
		} else {
			put_text(t->fd, "build/bzImage", "longer");
		}
		generation_unref(take_ptr(g));
		g = newest(live);
		assert_int_equal(generation_number(g), i + 2);
		get_info(tree_of(g), "kernels/bzImage", &info);
		assert_true(S_ISREG(info.attr.mode));
		assert_int_equal(info.size, i == 0 ? 6 : i == 1 ? 7 : 11);
		assert_ok(read_file(g, "kernels/bzImage"));
	}
	again = newest(live);
	assert_ptr_equal(again, g);
	assert_false(rescan_is_due(live));
}

/* What a boot reads stays whole in the generation that has it. */
static void kernels_outlive_their_names(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *first = NULL;
	_cleanup_generation_ struct generation *second = NULL;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	first = newest(live);
	replace(t->fd);
	assert_sys(unlinkat(t->fd, "kernels/b", 0));
	second = newest(live);
	assert_ptr_not_equal(first, second);
	assert_ok(read_file(first, "kernels/a"));
	assert_ok(read_file(first, "kernels/b"));
	assert_ok(read_file(second, "kernels/a"));
	assert_is_now(second, t->fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(every_change_is_seen_at_once),
		temp_test(every_change_is_seen_by_the_thread),
		temp_test(changes_of_all_kinds_in_a_row),
		temp_test(what_a_read_finds_stale_is_scanned_again),
		temp_test(builds_are_seen),
		temp_test(kernels_outlive_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
