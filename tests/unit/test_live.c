/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Generations: whoever asks for the newest gets the tree as it is now, all of
 * one moment.
 */
#include "support_image.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "imgcore/live.h"
#include "live/live-internal.h"

DEFINE_CLEANUP(struct live, live_free)
#define _cleanup_live_ _cleanup_(live_freep)

static void unrefp(struct generation **generation)
{
	generation_unref(*generation);
}
#define _cleanup_generation_ _cleanup_(unrefp)

struct notices {
	atomic_uint n;
	char last[512];
};

static void count_notice(void *context, const struct diag *diag, int err)
{
	struct notices *notices = context;
	_cleanup_free_ char *text = diag_format(diag, err);

	atomic_fetch_add(&notices->n, 1);
	snprintf(notices->last, sizeof(notices->last), "%s", text);
}

static struct live *live_of(int fd, struct notices *notices)
{
	const struct live_options options = {
		.image = {
			.src_fd = fd,
			.src_path = "/src",
			.boot.no_grub = true,
		},
		.notice = notices ? count_notice : NULL,
		.context = notices,
	};
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct live *live;

	if (live_new(&live, &options, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	live_attend(live);
	return live;
}

static struct generation *newest(struct live *live)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct generation *g;

	if (live_newest(live, &g, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return g;
}

static const struct tree *tree_of(struct generation *g)
{
	return image_tree(generation_image(g), 1);
}

static void make_dirs(int fd)
{
	assert_sys(mkdirat(fd, "kernels", 0755));
	assert_sys(mkdirat(fd, "kernels/sub", 0755));
	assert_sys(mkdirat(fd, "other", 0755));
	put_text(fd, "kernels/a", "one");
	put_text(fd, "kernels/b", "two");
	put_text(fd, "kernels/sub/c", "three");
	put_text(fd, "other/d", "four");
	assert_sys(symlinkat("a", fd, "kernels/link"));
}

/* The newest generation's trees are those that a scan from scratch finds. */
static void assert_is_now(struct generation *g, int fd)
{
	struct tree_scan_options options = { .part = TREE_PART_WITHOUT,
					     .subdir = "boot" };
	_cleanup_tree_ struct tree *tree = scan(fd, &options, NULL);
	const struct tree *is = tree_of(g);
	unsigned found = 0;

	for (tree_id id = 0; id < tree_count(tree); id++) {
		_cleanup_free_ char *path = NULL;
		struct tree_info want, info;
		tree_id at;

		assert_ok(tree_path(tree, id, &path));
		at = must_find(is, path);
		tree_get(tree, id, &want);
		tree_get(is, at, &info);
		found++;
		assert_int_equal(info.size, want.size);
		assert_int_equal(info.nlink, want.nlink);
		assert_memory_equal(&info.attr, &want.attr, sizeof(info.attr));
		assert_int_equal(info.xattrs != 0, want.xattrs != 0);
		if (S_ISREG(want.attr.mode)) {
			_cleanup_close_ int file = -1;
			_cleanup_diag_ struct diag diag = DIAG_INIT;

			if (tree_open_host(is, at, &file, &diag) < 0)
				fail_msg("%s: %s", diag.path, diag.reason);
		}
	}
	/* lost+found is ours. */
	assert_int_equal(tree_count(is), found + 1);
}

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
		assert_false(rest_is_due(live));
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
	assert_false(rest_is_due(live));
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
	assert_contains(generation_cause(g), "kernels/sub/a\\x0ab: created\n");
	assert_contains(generation_cause(g), "kernels/a: written\n");
	assert_contains(generation_cause(g), "other/d: removed\n");
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - generation_time(g) / 1000000000, 0, 60);
	generation_unref(take_ptr(g));
	for (unsigned i = 0; i < 130; i++) {
		char name[32];

		snprintf(name, sizeof(name), "other/%u", i);
		put_text(t->fd, name, "");
	}
	g = newest(live);
	assert_contains(generation_cause(g), "other/99: created\n");
	assert_contains(generation_cause(g), "and 30 more\n");
	assert_null(strstr(generation_cause(g), "kernels/a"));
}

static void menu_and_kernels_can_be_read(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_free_ char *menu = NULL;
	_cleanup_free_ char *kernels = NULL;

	make_dirs(t->fd);
	put_text(t->fd, "kernels/vmlinuz-6.1", "kernel");
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

/* ---- one moment ---- */

struct changer {
	int fd;
	atomic_bool stop;
	pthread_t thread;
	unsigned pause_us;
};

/* x and y are of the same generation of files at every moment but one: both. */
static void *change_pairs(void *context)
{
	struct changer *c = context;

	for (unsigned i = 0; !atomic_load(&c->stop); i++) {
		char name[32];

		/* The file's name is in both directories, or in neither. */
		snprintf(name, sizeof(name), "kernels/sub/%u", i % 7);
		put_text(c->fd, name, "x");
		assert_sys(renameat(c->fd, "kernels/sub", c->fd, "other/sub"));
		usleep(c->pause_us);
		assert_sys(renameat(c->fd, "other/sub", c->fd, "kernels/sub"));
		assert_sys(unlinkat(c->fd, name, 0));
		usleep(c->pause_us);
	}
	return NULL;
}

/*
 * The directory is at every moment in one of two places, and the file in it
 * where it is the second one's; a scan in the middle could see both or none.
 */
static void generations_are_of_one_moment(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	struct changer c = { .fd = t->fd, .pause_us = 20000 };
	uint64_t last = 0;
	unsigned made = 0;
	unsigned there = 0;

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	assert_int_equal(pthread_create(&c.thread, NULL, change_pairs, &c), 0);
	for (unsigned i = 0; i < 150; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		bool first, second;
		int r = live_newest(live, &g, NULL);

		if (r == -EAGAIN)
			continue;
		assert_ok(r);
		first = tree_find(tree_of(g), "kernels/sub") != TREE_NONE;
		second = tree_find(tree_of(g), "other/sub") != TREE_NONE;
		assert_int_equal(first + second, 1);
		there += second;
		if (second) {
			struct tree_info info;

			get_info(tree_of(g), "other/sub", &info);
			assert_int_equal(info.n_children, 2);
		}
		made += generation_number(g) != last;
		last = generation_number(g);
		usleep(3000);
	}
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	assert_true(made > 10);
	assert_true(there > 10);
}

/* Bytes too: what a generation lets one read is what it was made from. */
static void *change_content(void *context)
{
	struct changer *c = context;

	for (unsigned i = 0; !atomic_load(&c->stop); i++) {
		_cleanup_close_ int fd = openat(c->fd, "kernels/a", O_WRONLY);
		char text[5];

		snprintf(text, sizeof(text), "%04u", i % 10000);
		(void)!pwrite(fd, text, 4, 0);
		sched_yield();
		usleep(i % 8 ? 100 : 12000);
	}
	return NULL;
}

static void content_is_of_one_moment(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	struct changer c = { .fd = t->fd };
	unsigned compared = 0;

	make_dirs(t->fd);
	put_text(t->fd, "kernels/a", "0000");
	live = live_of(t->fd, NULL);
	assert_int_equal(pthread_create(&c.thread, NULL, change_content, &c),
			 0);
	for (unsigned i = 0; i < 200; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		char first[5] = "";
		int r = live_newest(live, &g, NULL);

		if (r == -EAGAIN)
			continue;
		assert_ok(r);
		for (unsigned k = 0; k < 50; k++) {
			_cleanup_close_ int fd = -1;
			tree_id id = must_find(tree_of(g), "kernels/a");
			char text[5] = "";

			if (tree_open_host(tree_of(g), id, &fd, NULL) < 0)
				break;
			assert_int_equal(pread(fd, text, 4, 0), 4);
			if (tree_verify_host(tree_of(g), id, fd, NULL) < 0)
				break;
			if (k == 0)
				strcpy(first, text);
			assert_string_equal(text, first);
			compared++;
			usleep(200);
		}
	}
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	assert_true(compared > 100);
}

/* Between what its parent says of a directory and its own turn. */
static void change_before_its_turn(void *context, uint64_t entries)
{
	struct changer *c = context;

	if (!atomic_exchange(&c->stop, true))
		put_text(c->fd, "other/new", "x");
}

static void what_was_not_watched_yet_is_seen(void **state)
{
	struct temp *t = *state;
	struct changer c = { .fd = t->fd };
	const struct live_options options = {
		.image = {
			.src_fd = t->fd,
			.src_path = "/src",
			.boot.no_grub = true,
			.scan.threads = 1,
			.scan.progress = change_before_its_turn,
			.scan.context = &c,
		},
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;

	make_dirs(t->fd);
	for (unsigned i = 0; i < 1100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "kernels/%u", i);
		put_text(t->fd, name, "");
	}
	/* Its time is of another tick. */
	usleep(30000);
	assert_ok(live_new(&live, &options, NULL));
	assert_true(c.stop);
	g = newest(live);
	assert_int_equal(generation_number(g), 1);
	assert_is_now(g, t->fd);
}

/* In the middle of each scan, which so has one to follow. */
static void change_while_scanned(void *context, uint64_t entries)
{
	const struct temp *t = context;

	assert_sys(fchmodat(t->fd, "other/d", 0600 + entries % 2, 0));
}

static void what_never_rests_is_said_to(void **state)
{
	struct temp *t = *state;
	const struct live_options options = {
		.image = {
			.src_fd = t->fd,
			.src_path = "/src",
			.boot.no_grub = true,
			.scan.progress = change_while_scanned,
			.scan.context = t,
		},
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct timespec before, after;

	make_dirs(t->fd);
	for (unsigned i = 0; i < 1100; i++) {
		char name[32];

		/* Progress is told of a thousand. */
		snprintf(name, sizeof(name), "other/%u", i);
		put_text(t->fd, name, "");
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(live_new(&live, &options, &diag), -EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_string_equal(diag.path, "/src/other/d");
	assert_in_range(after.tv_sec - before.tv_sec, 3, 30);
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
	assert_contains(generation_cause(second), "other/d: changed\n");
	assert_ok(read_file(second, "other/d"));
	assert_is_now(second, src);
	generation_unref(newest(live));
	assert_false(rest_is_due(live));
}

/* As `cp -al` does to all files; one read finds it out for all of them. */
static void names_elsewhere_are_found_out_at_once(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *first = NULL;
	_cleanup_generation_ struct generation *second = NULL;
	_cleanup_close_ int src = -1;

	assert_sys(mkdirat(t->fd, "src", 0755));
	src = openat(t->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(src);
	assert_sys(mkdirat(src, "third", 0755));
	put_text(src, "third/e", "five");
	live = live_of(src, NULL);
	first = newest(live);
	assert_sys(linkat(src, "other/d", t->fd, "d", 0));
	assert_sys(linkat(src, "third/e", t->fd, "e", 0));
	assert_int_equal(read_file(first, "other/d"), -ESTALE);
	second = newest(live);
	assert_contains(generation_cause(second), "all was read again");
	assert_is_now(second, src);
	assert_ok(read_file(second, "third/e"));
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
	assert_false(rest_is_due(live));
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
	put_text(t->fd, "kernels/vmlinuz-1.2", "kernel");
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

/* ---- where watching is not enough ---- */

static void lost_events_lose_no_change(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	char text[32] = "";
	_cleanup_close_ int fd = open("/proc/sys/fs/inotify/max_queued_events",
				      O_RDONLY);

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	assert_true(io_pread(fd, text, sizeof(text) - 1, 0) > 0);
	/* The thread may not drain meanwhile. */
	pthread_mutex_lock(&live->watch.mutex);
	for (long i = 0; i <= atol(text) / 2 + 1; i++) {
		assert_sys(fchmodat(t->fd, "kernels/a", 0600 + i % 2, 0));
		assert_sys(fchmodat(t->fd, "kernels/b", 0600 + i % 2, 0));
	}
	put_text(t->fd, "kernels/sub/late", "unseen");
	pthread_mutex_unlock(&live->watch.mutex);
	g = newest(live);
	assert_contains(generation_cause(g), "all was read again");
	assert_is_now(g, t->fd);
	generation_unref(take_ptr(g));
	/* From then on all is as before. */
	put_text(t->fd, "kernels/sub/later", "seen");
	g = newest(live);
	assert_contains(generation_cause(g), "kernels/sub/later: created\n");
	assert_null(strstr(generation_cause(g), "all was"));
	assert_is_now(g, t->fd);
}

/* The exit code where none can be had. */
#define NO_NAMESPACE 250

static void write_proc(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(NO_NAMESPACE);
}

/* A user namespace has limits of its own; and root in it may mount. */
static void enter_namespace(void)
{
	uid_t uid = getuid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(NO_NAMESPACE);
	write_proc("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_proc("/proc/self/uid_map", map);
	write_proc("/proc/self/gid_map", map);
}

/* In a process of its own, where asserts end in an exit code. */
#define must(condition)                            \
	do {                                       \
		if (!(condition))                  \
			return 1 + __LINE__ % 240; \
	} while (0)

static int is_new(struct live *live, int fd, uint64_t number)
{
	_cleanup_generation_ struct generation *g = newest(live);

	must(generation_number(g) == number);
	assert_is_now(g, fd);
	return 0;
}

static int without_enough_watches(void *context)
{
	const struct temp *t = context;
	_cleanup_live_ struct live *live = NULL;
	struct notices notices = { 0 };
	int r;

	enter_namespace();
	write_proc("/proc/sys/user/max_inotify_watches", "2");
	live = live_of(t->fd, &notices);
	must(live->unwatched);
	must(notices.n == 1 && strstr(notices.last, "max_user_watches"));
	put_text(t->fd, "kernels/sub/c", "changed");
	r = is_new(live, t->fd, 2);
	put_text(t->fd, "other/new", "changed");
	r = r ? r : is_new(live, t->fd, 3);
	r = r ? r : is_new(live, t->fd, 3);
	must(notices.n == 1);
	return r;
}

static int without_an_instance(void *context)
{
	const struct temp *t = context;
	_cleanup_live_ struct live *live = NULL;
	struct notices notices = { 0 };
	int r;

	enter_namespace();
	write_proc("/proc/sys/user/max_inotify_instances", "0");
	live = live_of(t->fd, &notices);
	must(live->watch.fd < 0);
	must(notices.n == 1 && strstr(notices.last, "max_user_instances"));
	put_text(t->fd, "kernels/sub/c", "changed");
	r = is_new(live, t->fd, 2);
	r = r ? r : is_new(live, t->fd, 2);
	assert_sys(unlinkat(t->fd, "other/d", 0));
	return r ? r : is_new(live, t->fd, 3);
}

static int mounts_come_and_go(void *context)
{
	const struct temp *t = context;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_close_ int fd = -1;
	struct tree_info info;
	char path[128];

	enter_namespace();
	/* That one is on the other namespace's mount. */
	fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/kernels/sub", t->path);
	live = live_of(fd, NULL);
	must(mount("none", path, "tmpfs", 0, NULL) == 0);
	g = newest(live);
	must(generation_number(g) == 2);
	get_info(tree_of(g), "kernels/sub", &info);
	must(info.n_children == 0);
	generation_unref(take_ptr(g));
	must(umount2(path, 0) == 0);
	g = newest(live);
	must(generation_number(g) == 3);
	must(strstr(generation_cause(g), "kernels/sub: changed"));
	assert_is_now(g, fd);
	/* Elsewhere they do not matter. */
	must(mount("none", "/mnt", "tmpfs", 0, NULL) == 0);
	return is_new(live, fd, 3);
}

/* A disk must not tell of its own mount. */
static int own_mount_shows_nothing(void *context)
{
	const struct temp *t = context;
	_cleanup_close_ int fd = -1;
	struct tree_identity mnt;
	struct live_options options = {
		.image = {
			.src_path = "/src",
			.boot.no_grub = true,
			.scan = { .prune = &mnt, .n_prune = 1 },
		},
	};
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	struct tree_info before, after;
	struct stat st;
	char path[128];

	enter_namespace();
	fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/other/mnt", t->path);
	must(mkdir(path, 0751) == 0 && stat(path, &st) == 0);
	mnt = (struct tree_identity){ st.st_dev, st.st_ino };
	options.image.src_fd = fd;
	must(live_new(&live, &options, NULL) == 0);
	g = newest(live);
	get_info(tree_of(g), "other/mnt", &before);
	must(mount("none", path, "tmpfs", 0, "mode=0700") == 0);
	must(stat(path, &st) == 0);
	live_set_own_dev(live, st.st_dev);
	generation_unref(take_ptr(g));
	g = newest(live);
	must(generation_number(g) == 1);
	put_text(fd, "other/new", "x");
	generation_unref(take_ptr(g));
	g = newest(live);
	must(generation_number(g) == 2);
	live->changes.all = true;
	put_text(fd, "other/newer", "x");
	generation_unref(take_ptr(g));
	g = newest(live);
	must(generation_number(g) == 3);
	get_info(tree_of(g), "other/mnt", &after);
	must(memcmp(&before.attr, &after.attr, sizeof(after.attr)) == 0);
	return 0;
}

static void run_in_namespace(void **state, int (*function)(void *context))
{
	const struct temp *t = *state;

	int r;

	make_dirs(t->fd);
	r = run_apart(function, *state);
	if (r == NO_NAMESPACE)
		skip();
	assert_int_equal(r, 0);
}

static void watches_run_out(void **state)
{
	run_in_namespace(state, without_enough_watches);
}

static void instances_run_out(void **state)
{
	run_in_namespace(state, without_an_instance);
}

static void mounts_are_seen(void **state)
{
	run_in_namespace(state, mounts_come_and_go);
}

static void the_own_mount_is_not_seen(void **state)
{
	run_in_namespace(state, own_mount_shows_nothing);
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
	assert_in_range(live->watch.held.count, 1, 20);
}

static void *ask_often(void *context)
{
	for (unsigned i = 0; i < 200; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		struct generation *other;

		if (live_newest(context, &g, NULL) < 0)
			continue;
		other = generation_ref(g);
		assert_non_null(generation_image(other));
		generation_unref(other);
		if (i % 3 == 0)
			usleep(500);
	}
	return NULL;
}

static void threads_may_ask_at_once(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	struct changer c = { .fd = t->fd, .pause_us = 5000 };
	pthread_t threads[4];

	make_dirs(t->fd);
	live = live_of(t->fd, NULL);
	assert_int_equal(pthread_create(&c.thread, NULL, change_pairs, &c), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ask_often, live), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	g = newest(live);
	assert_is_now(g, t->fd);
}

static void a_source_that_is_gone_is_said_to_be(void **state)
{
	const struct temp *t = *state;
	_cleanup_live_ struct live *live = NULL;
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;

	assert_sys(mkdirat(t->fd, "src", 0755));
	fd = openat(t->fd, "src", O_RDONLY | O_DIRECTORY);
	live = live_of(fd, NULL);
	assert_sys(unlinkat(t->fd, "src", AT_REMOVEDIR));
	assert_int_equal(live_newest(live, &g, &diag), -ESTALE);
	assert_string_equal(diag.path, "/src");
	assert_string_equal(diag.reason, "has been removed");
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

/* ---- a call that writes for long ---- */

#define LONG_WRITE (256u << 20)

struct long_write {
	int fd;
	void *bytes;
	atomic_bool begun;
	atomic_bool over;
};

static void *write_long(void *context)
{
	struct long_write *w = context;

	atomic_store(&w->begun, true);
	assert_int_equal(pwrite(w->fd, w->bytes, LONG_WRITE, 0), LONG_WRITE);
	atomic_store(&w->over, true);
	return NULL;
}

/* Whether the tree was looked at while the call went on. */
static bool look_while_writing(struct live *live, int dir, struct long_write *w)
{
	struct generation *during, *behind;
	pthread_t thread;
	bool over;

	atomic_store(&w->begun, false);
	atomic_store(&w->over, false);
	assert_int_equal(pthread_create(&thread, NULL, write_long, w), 0);
	while (!atomic_load(&w->begun))
		sched_yield();
	usleep(10000);
	/* Nobody is told of the file before the call ends. */
	put_text(dir, "other", "something else that changes");
	during = newest(live);
	over = atomic_load(&w->over);
	assert_int_equal(pthread_join(thread, NULL), 0);
	behind = newest(live);
	if (!over)
		assert_true(generation_number(behind) >
			    generation_number(during));
	generation_unref(during);
	generation_unref(behind);
	return !over;
}

/* Its times are set before its bytes are there, and not again. */
static void written_for_long(void **state)
{
	const struct temp *t = *state;
	struct long_write w = { 0 };
	struct live *live;
	bool seen = false;

	put_text(t->fd, "file", "some bytes");
	w.fd = openat(t->fd, "file", O_RDWR | O_CLOEXEC);
	assert_sys(w.fd);
	w.bytes = calloc(1, LONG_WRITE);
	assert_non_null(w.bytes);
	/* Or its size would tell. */
	assert_int_equal(pwrite(w.fd, w.bytes, LONG_WRITE, 0), LONG_WRITE);
	live = live_of(t->fd, NULL);
	for (unsigned i = 0; i < 20 && !seen; i++)
		seen = look_while_writing(live, t->fd, &w);
	assert_true(seen);
	live_free(live);
	free(w.bytes);
	close(w.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(written_for_long),
		temp_test(every_change_is_seen_at_once),
		temp_test(every_change_is_seen_by_the_thread),
		temp_test(changes_of_all_kinds_in_a_row),
		temp_test(unchanged_stays),
		temp_test(touching_is_no_change),
		temp_test(the_cause_names_what_changed),
		temp_test(menu_and_kernels_can_be_read),
		temp_test(generations_are_of_one_moment),
		temp_test(content_is_of_one_moment),
		temp_test(what_was_not_watched_yet_is_seen),
		temp_test(what_never_rests_is_said_to),
		temp_test(what_a_read_finds_stale_is_scanned_again),
		temp_test(names_elsewhere_are_found_out_at_once),
		temp_test(builds_are_seen),
		temp_test(kernels_outlive_their_names),
		temp_test(modules_of_its_own_are_told_of_once),
		temp_test(lost_events_lose_no_change),
		temp_test(watches_run_out),
		temp_test(instances_run_out),
		temp_test(mounts_are_seen),
		temp_test(the_own_mount_is_not_seen),
		temp_test(generations_outlive_what_made_them),
		temp_test(a_thousand_generations_leave_nothing),
		temp_test(threads_may_ask_at_once),
		temp_test(a_source_that_is_gone_is_said_to_be),
		temp_test(a_wrong_tree_is_an_error_until_it_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
