/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A generation is the tree of one moment, all of it. */
#include "support_live.h"

#include <pthread.h>

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
	for (unsigned i = 0; i < 150 || made <= 10 || there <= 10; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		bool first, second;
		int r = live_newest(live, &g, NULL);

		assert_true(i < 10000);
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
	for (unsigned i = 0; i < 200 || compared <= 100; i++) {
		_cleanup_generation_ struct generation *g = NULL;
		char first[5] = "";
		int r = live_newest(live, &g, NULL);

		assert_true(i < 10000);
		if (r == -EAGAIN)
			continue;
		assert_ok(r);
		for (unsigned k = 0; k < 50; k++) {
			_cleanup_close_ int fd = -1;
			tree_id id = must_find(tree_of(g), "kernels/a");
			char text[5] = "";

			if (open_host(tree_of(g), id, &fd, NULL) < 0)
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
		temp_test(threads_may_ask_at_once),
		temp_test(written_for_long),
		temp_test(generations_are_of_one_moment),
		temp_test(content_is_of_one_moment),
		temp_test(what_was_not_watched_yet_is_seen),
		temp_test(what_never_rests_is_said_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
