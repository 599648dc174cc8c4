/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where inotify does not tell, or not all. */
#include "support_live.h"

#include <pthread.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include "live/state.h"

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
	pthread_mutex_lock(&live->watch->mutex);
	for (long i = 0; i <= atol(text) / 2 + 1; i++) {
		assert_sys(fchmodat(t->fd, "kernels/a", 0600 + i % 2, 0));
		assert_sys(fchmodat(t->fd, "kernels/b", 0600 + i % 2, 0));
	}
	put_text(t->fd, "kernels/sub/late", "unseen");
	pthread_mutex_unlock(&live->watch->mutex);
	g = newest(live);
	assert_contains(generation_reason(g), "all was read again");
	assert_is_now(g, t->fd);
	generation_unref(take_ptr(g));
	/* From then on all is as before. */
	put_text(t->fd, "kernels/sub/later", "seen");
	g = newest(live);
	assert_contains(generation_reason(g), "kernels/sub/later: created\n");
	assert_null(strstr(generation_reason(g), "all was"));
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

/* How many watches the kernel has for it. */
static unsigned count_watches(const struct live *live)
{
	char path[64], line[512];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", live->watch->fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		n += strncmp(line, "inotify ", 8) == 0;
	if (f)
		fclose(f);
	return n;
}

/* Another program of the same user. */
static bool others_can_watch(const struct temp *t, unsigned n)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);
	char path[128];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s%s", t->path,
			 i == 0 ? "" : "/kernels");
		if (inotify_add_watch(fd, path, IN_CREATE) < 0)
			return false;
	}
	return true;
}

/* A limit that one directory more than there are would need. */
static int with_a_raised_limit(void *context)
{
	const struct temp *t = context;
	_cleanup_live_ struct live *live = NULL;
	struct notices notices = { 0 };
	char name[32];
	int r;

	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "a%u", i);
		must(mkdirat(t->fd, name, 0755) == 0);
	}
	enter_namespace();
	write_proc("/proc/sys/user/max_inotify_watches", "40");
	live = live_of(t->fd, &notices);
	must(live->unwatched && count_watches(live) == 0);
	must(others_can_watch(t, 2));
	put_text(t->fd, "other/d", "changed");
	r = is_new(live, t->fd, 2);
	must(r == 0 && count_watches(live) == 0 && notices.n == 1);
	/* Too little more: not even tried. */
	write_proc("/proc/sys/user/max_inotify_watches", "45");
	must(is_new(live, t->fd, 2) == 0 && live->watch->full);
	/* The disk says so once more, as what told of changes is another. */
	write_proc("/proc/sys/user/max_inotify_watches", "1000");
	must(is_new(live, t->fd, 3) == 0);
	must(!live->unwatched && !live->watch->full);
	/* Each directory, and each file of kernels/. */
	must(count_watches(live) == 44 + 3);
	must(is_new(live, t->fd, 3) == 0 && !rescan_is_due(live));
	put_text(t->fd, "other/new", "x");
	must(is_new(live, t->fd, 4) == 0);
	put_text(t->fd, "kernels/a", "x");
	must(is_new(live, t->fd, 5) == 0 && !rescan_is_due(live));
	must(notices.n == 1);
	/* A tree that grows beyond: all are given back. */
	write_proc("/proc/sys/user/max_inotify_watches", "48");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		must(mkdirat(t->fd, name, 0755) == 0);
	}
	must(is_new(live, t->fd, 6) == 0);
	must(live->unwatched && count_watches(live) == 0 && notices.n == 2);
	/* And one that becomes smaller: they are had again. */
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		must(unlinkat(t->fd, name, AT_REMOVEDIR) == 0);
		snprintf(name, sizeof(name), "a%u", i);
		must(unlinkat(t->fd, name, AT_REMOVEDIR) == 0);
	}
	must(is_new(live, t->fd, 7) == 0);
	put_text(t->fd, "other/new", "y");
	must(is_new(live, t->fd, 8) == 0);
	must(!live->unwatched && count_watches(live) == 24 + 3);
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
	must(live->unwatched && count_watches(live) == 0);
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
	must(live->watch->fd < 0);
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
	must(strstr(generation_reason(g), "kernels/sub: changed"));
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

static void a_raised_limit_is_used(void **state)
{
	run_in_namespace(state, with_a_raised_limit);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(lost_events_lose_no_change),
		temp_test(watches_run_out),
		temp_test(a_raised_limit_is_used),
		temp_test(instances_run_out),
		temp_test(mounts_are_seen),
		temp_test(the_own_mount_is_not_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
