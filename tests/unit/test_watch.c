/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Watches: which directories changed, and what is known of the names. */
#include "support.h"

#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "image/numbers.h"
#include "image/watch.h"

DEFINE_CLEANUP(struct watch, watch_unref)
#define _cleanup_watch_	  _cleanup_(watch_unrefp)
#define _cleanup_changes_ _cleanup_(watch_changes_release)
#define _cleanup_numbers_ _cleanup_(numbers_release)

static struct watch *watch_of(int dir)
{
	struct watch *w;

	assert_ok(watch_new(&w, dir, WATCH_AUTO));
	return w;
}

static bool has_changed(const struct watch_changes *changes, int32_t watch)
{
	return numbers_has(&changes->watches, (uint64_t)watch);
}

static uint32_t mask_of(const struct watch_changes *changes, const char *name)
{
	for (size_t i = 0; i < changes->names.count; i++)
		if (strcmp(changes->names.items[i].name, name) == 0)
			return changes->names.items[i].mask;
	return 0;
}

/* ---- sets ---- */

static void numbers_are_a_set(void **state)
{
	_cleanup_numbers_ struct numbers numbers = { 0 };
	uint64_t seed = random_begin();
	bool in[5000] = { false };
	size_t n = 0;

	assert_false(numbers_has(&numbers, 0));
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t number = random_below(&seed, ARRAY_SIZE(in));

		assert_ok(numbers_add(&numbers, number));
		n += !in[number];
		in[number] = true;
	}
	numbers_sort(&numbers);
	assert_int_equal(numbers.count, n);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		assert_int_equal(numbers_has(&numbers, i), in[i]);
	for (size_t i = 1; i < n; i++)
		assert_true(numbers.items[i - 1] < numbers.items[i]);
	numbers_clear(&numbers);
	assert_false(numbers_has(&numbers, numbers.items[0]));
}

/* The same over and over takes no room. */
static void numbers_stay_small(void **state)
{
	_cleanup_numbers_ struct numbers numbers = { 0 };

	for (unsigned i = 0; i < 1000000; i++)
		assert_ok(numbers_add(&numbers, i % 10));
	assert_true(numbers.size < 10000);
	numbers_sort(&numbers);
	assert_int_equal(numbers.count, 10);
}

/* ---- events ---- */

static void changes_are_told_once(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };
	int32_t watch;

	w = watch_of(t->fd);
	watch_start(w);
	watch = watch_add(w, t->fd);
	assert_true(watch >= 0);
	assert_int_equal(watch_add(w, t->fd), watch);
	assert_null(watch_reason(w));
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.watches.count, 0);
	put_text(t->fd, "new", "x");
	assert_ok(watch_take(w, true, &changes));
	assert_true(has_changed(&changes, watch));
	assert_false(changes.all);
	assert_int_equal(changes.names.count, 1);
	assert_true(mask_of(&changes, "new") & IN_CREATE);
	assert_true(mask_of(&changes, "new") & IN_CLOSE_WRITE);
	watch_changes_clear(&changes);
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.watches.count, 0);
	assert_int_equal(changes.names.count, 0);
}

static void changes_add_up(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };
	int32_t watch;

	w = watch_of(t->fd);
	watch_start(w);
	watch = watch_add(w, t->fd);
	put_text(t->fd, "a", "x");
	assert_ok(watch_take(w, true, &changes));
	assert_sys(unlinkat(t->fd, "a", 0));
	put_text(t->fd, "b", "x");
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.watches.count, 1);
	assert_true(has_changed(&changes, watch));
	assert_int_equal(changes.names.count, 2);
	assert_int_equal(changes.known.count, 2);
	assert_true(mask_of(&changes, "a") & IN_CREATE);
	assert_true(mask_of(&changes, "a") & IN_DELETE);
}

/* Reading, and files without a name, are no changes. */
static void what_does_not_matter_is_not_told(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };
	_cleanup_close_ int fd = -1;
	uint8_t *bytes;
	size_t len;

	put_text(t->fd, "file", "text");
	fd = openat(t->fd, "file", O_RDWR);
	assert_ok(io_read_file(fd, 100, &bytes, &len));
	free(bytes);
	assert_sys(unlinkat(t->fd, "file", 0));
	w = watch_of(t->fd);
	watch_start(w);
	assert_true(watch_add(w, t->fd) >= 0);
	assert_ok(io_pwrite(fd, "more", 4, 4));
	close(openat(t->fd, ".", O_RDONLY | O_DIRECTORY));
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.watches.count, 0);
}

static void a_hundred_names_are_kept(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };

	w = watch_of(t->fd);
	watch_start(w);
	assert_true(watch_add(w, t->fd) >= 0);
	for (unsigned i = 0; i < 500; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i % 250);
		put_text(t->fd, name, "x");
	}
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.names.count, WATCH_NAMES);
	assert_int_equal(changes.known.count, 250);
	assert_string_equal(changes.names.items[99].name, "99");
}

static long max_queued(void)
{
	_cleanup_close_ int fd = open("/proc/sys/fs/inotify/max_queued_events",
				      O_RDONLY);
	char text[32] = "";

	assert_true(io_pread(fd, text, sizeof(text) - 1, 0) > 0);
	return atol(text);
}

static void many_events(int fd, long n)
{
	put_text(fd, "a", "");
	put_text(fd, "b", "");
	/* The same twice in a row is one. */
	for (long i = 0; i < n; i++)
		assert_sys(fchmodat(fd, i % 2 ? "a" : "b", 0600 + i % 3, 0));
}

static void an_overflow_is_told(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };

	w = watch_of(t->fd);
	watch_start(w);
	assert_true(watch_add(w, t->fd) >= 0);
	/* The thread waits for it. */
	pthread_mutex_lock(&w->mutex);
	many_events(t->fd, max_queued() + 10);
	pthread_mutex_unlock(&w->mutex);
	assert_ok(watch_take(w, true, &changes));
	assert_true(changes.all);
	watch_changes_clear(&changes);
	put_text(t->fd, "c", "");
	assert_ok(watch_take(w, true, &changes));
	assert_false(changes.all);
	assert_true(mask_of(&changes, "c") != 0);
}

/* Nobody asks for a long time, and nothing is lost. */
static void the_thread_drains_the_queue(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };
	long n = max_queued();

	w = watch_of(t->fd);
	watch_start(w);
	assert_true(w->has_thread);
	assert_true(watch_add(w, t->fd) >= 0);
	for (unsigned i = 0; i < 8; i++) {
		int left = 1;

		many_events(t->fd, n / 4);
		for (unsigned k = 0; left > 0 && k < 3000; k++) {
			usleep(10000);
			assert_sys(ioctl(w->fd, FIONREAD, &left));
		}
		assert_int_equal(left, 0);
	}
	assert_ok(watch_take(w, true, &changes));
	assert_false(changes.all);
	assert_int_equal(changes.names.count, 2);
}

static void watches_are_given_up(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_changes_ struct watch_changes changes = { 0 };
	_cleanup_numbers_ struct numbers keep = { 0 };
	int32_t watches[3];
	int dirs[3];

	w = watch_of(t->fd);
	watch_start(w);
	for (unsigned i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), 0 };

		assert_sys(mkdirat(t->fd, name, 0755));
		dirs[i] = openat(t->fd, name, O_RDONLY | O_DIRECTORY);
		watches[i] = watch_add(w, dirs[i]);
		assert_true(watches[i] >= 0);
	}
	assert_ok(numbers_add(&keep, (uint64_t)watches[1]));
	numbers_sort(&keep);
	watch_prune(w, &keep);
	assert_int_equal(w->held.count, 1);
	for (unsigned i = 0; i < 3; i++)
		put_text(dirs[i], "new", "x");
	assert_ok(watch_take(w, true, &changes));
	assert_int_equal(changes.watches.count, 1);
	assert_true(has_changed(&changes, watches[1]));
	for (unsigned i = 0; i < 3; i++)
		close(dirs[i]);
}

/* ---- which file systems ---- */

static void elsewhere_is_not_watched(void **state)
{
	_cleanup_watch_ struct watch *w = NULL;
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY);

	assert_false(watch_is_local(proc));
	assert_true(watch_is_local(shm));
	w = watch_of(proc);
	assert_int_equal(watch_add(w, proc), TREE_UNWATCHED);
	assert_contains(watch_reason(w), "other machines");
}

/* A thread that scans has a table of descriptors of its own. */
struct apart {
	struct watch *watch;
	int dir;
	int32_t number;
};

static void *add_apart(void *context)
{
	struct apart *a = context;
	int fd;

	assert_sys(unshare(CLONE_FILES));
	fd = fcntl(a->dir, F_DUPFD_CLOEXEC, 500);
	a->number = watch_add(a->watch, fd);
	close(fd);
	return NULL;
}

static void threads_of_their_own_descriptors_add(void **state)
{
	const struct temp *t = *state;
	_cleanup_watch_ struct watch *w = NULL;
	struct apart a = { .dir = t->fd, .number = -1 };
	pthread_t thread;

	w = watch_of(t->fd);
	watch_start(w);
	a.watch = w;
	assert_int_equal(pthread_create(&thread, NULL, add_apart, &a), 0);
	pthread_join(thread, NULL);
	assert_true(a.number >= 0);
	assert_int_equal(watch_add(w, t->fd), a.number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_a_set),
		cmocka_unit_test(numbers_stay_small),
		temp_test(changes_are_told_once),
		temp_test(changes_add_up),
		temp_test(what_does_not_matter_is_not_told),
		temp_test(a_hundred_names_are_kept),
		temp_test(an_overflow_is_told),
		temp_test(the_thread_drains_the_queue),
		temp_test(watches_are_given_up),
		cmocka_unit_test(elsewhere_is_not_watched),
		temp_test(threads_of_their_own_descriptors_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
