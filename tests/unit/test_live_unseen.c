/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes that no directory of the source tells of, and changes that are none
 * of a file's content. Each with one thread and with eight, and in a tree that
 * has 40 directories before those that matter.
 */
#include "support_live.h"

#include <sys/mman.h>
#include <sys/xattr.h>

#include "live/state.h"

#define SIZE 20000u

struct rewritten {
	int fd; /* of the directory around it */
	int src;
	unsigned threads;
	struct live *live;
	struct notices notices;
};

static void put_byte(int dir, const char *path, char byte)
{
	static char buf[SIZE];
	_cleanup_close_ int fd = openat(dir, path, O_RDWR | O_CREAT | O_CLOEXEC,
					0644);

	memset(buf, byte, SIZE);
	assert_sys(fd);
	assert_ok(io_pwrite(fd, buf, SIZE, 0));
}

static void clear(int dir)
{
	temp_empty(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Its times are of another tick than what follows. */
static void tick(void)
{
	struct timespec before, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	do {
		usleep(2000);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
	usleep(2000);
}

static void start(struct rewritten *s)
{
	const struct live_options options = {
		.image = {
			.src_fd = s->src,
			.src_path = "/src",
			.boot.no_grub = true,
			.scan.follow = "kernels",
			.scan.threads = s->threads,
		},
		.notice = count_notice,
		.context = &s->notices,
	};
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	tick();
	if (live_new(&s->live, &options, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	live_start_thread(s->live);
}

static struct rewritten rewritten_new(int dir, const char *name,
				      unsigned threads)
{
	struct rewritten s = { .threads = threads };
	char path[64];

	assert_sys(mkdirat(dir, name, 0755));
	s.fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_sys(mkdirat(s.fd, "build", 0755));
	assert_sys(mkdirat(s.fd, "src", 0755));
	s.src = openat(s.fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "a%02u", i);
		assert_sys(mkdirat(s.src, path, 0755));
		snprintf(path, sizeof(path), "a%02u/file", i);
		put_text(s.src, path, "text");
	}
	assert_sys(mkdirat(s.src, "kernels", 0755));
	assert_sys(mkdirat(s.src, "other", 0755));
	put_byte(s.src, "kernels/bzImage", '1');
	put_byte(s.src, "other/data", '1');
	return s;
}

static void rewritten_release(struct rewritten *s)
{
	live_free(s->live);
	close(s->src);
	close(s->fd);
}
#define _cleanup_source_ _cleanup_(rewritten_release)

/* What a generation has of a file: its byte, or a negative errno. */
static int byte_of(struct generation *g, const char *path)
{
	const struct image *image = generation_image(g);
	uint64_t at = find_on_disk(
		image, 2, tree_inode(tree_of(g), must_find(tree_of(g), path)),
		0);
	static char buf[SIZE];
	int r = image_pread(image, buf, SIZE, at, NULL);

	for (unsigned i = 1; i < SIZE && r == 0; i++)
		assert_int_equal(buf[i], buf[0]);
	return r < 0 ? r : buf[0];
}

/* ---- out of sight ---- */

/* The next one is another, and has these bytes. */
static void assert_next(struct rewritten *s, struct generation **g,
			const char *path, char byte)
{
	uint64_t before = generation_number(*g);

	generation_unref(take_ptr(*g));
	*g = newest(s->live);
	assert_true(generation_number(*g) > before);
	assert_int_equal(byte_of(*g, path), byte);
}

static void assert_same(struct rewritten *s, const struct generation *g)
{
	_cleanup_generation_ struct generation *again = newest(s->live);

	assert_ptr_equal(again, g);
	assert_false(rescan_is_due(s->live));
}

/* Through a name elsewhere that was there before, or comes later. */
static void try_linked(int dir, unsigned threads, const char *path, bool later)
{
	_cleanup_source_ struct rewritten s =
		rewritten_new(dir, strrchr(path, '/') + 1, threads);
	_cleanup_generation_ struct generation *g = NULL;

	if (!later)
		assert_sys(linkat(s.src, path, s.fd, "build/x", 0));
	start(&s);
	g = newest(s.live);
	assert_int_equal(byte_of(g, path), '1');
	if (later)
		assert_sys(linkat(s.src, path, s.fd, "build/x", 0));
	for (char byte = '2'; byte < '5'; byte++) {
		put_byte(s.fd, "build/x", byte);
		assert_next(&s, &g, path, byte);
		assert_same(&s, g);
	}
	/* A mode too. */
	assert_sys(fchmodat(s.fd, "build/x", 0600, 0));
	assert_next(&s, &g, path, '4');
	assert_is_now(g, s.src);
}

static void linked(struct temp *t, unsigned threads)
{
	try_linked(t->fd, threads, "kernels/bzImage", false);
	try_linked(t->fd, threads, "other/data", false);
}

static void linked_later(struct temp *t, unsigned threads)
{
	try_linked(t->fd, threads, "kernels/bzImage", true);
}

static char *map(const struct rewritten *s, const char *path)
{
	_cleanup_close_ int fd = openat(s->fd, path, O_RDWR | O_CLOEXEC);
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

/* By a mapping that was there before, or comes later, and stays. */
static void try_mapped(int dir, unsigned threads, const char *target,
		       bool later)
{
	_cleanup_source_ struct rewritten s = rewritten_new(dir, "s", threads);
	_cleanup_generation_ struct generation *g = NULL;
	char *m = NULL;

	put_byte(s.fd, "build/x", '1');
	if (strcmp(target, "build/x") == 0) {
		assert_sys(unlinkat(s.src, "kernels/bzImage", 0));
		assert_sys(
			symlinkat("../../build/x", s.src, "kernels/bzImage"));
	}
	if (!later) {
		m = map(&s, target);
		/* Pages that were there already, and written to. */
		for (unsigned i = 0; i < SIZE; i += 4096)
			(void)*(volatile char *)&m[i];
		memset(m, '1', SIZE);
	}
	start(&s);
	g = newest(s.live);
	assert_int_equal(byte_of(g, "kernels/bzImage"), '1');
	if (later)
		m = map(&s, target);
	for (char byte = '2'; byte < '5'; byte++) {
		memset(m, byte, SIZE);
		assert_next(&s, &g, "kernels/bzImage", byte);
	}
	memset(m, '5', SIZE);
	munmap(m, SIZE);
	assert_next(&s, &g, "kernels/bzImage", '5');
	assert_same(&s, g);
}

static void mapped(struct temp *t, unsigned threads)
{
	for (unsigned i = 0; i < 4; i++) {
		try_mapped(t->fd, threads,
			   i / 2 ? "build/x" : "src/kernels/bzImage", i % 2);
		clear(t->fd);
	}
}

/* Of other files the directory tells, when the mapping has gone. */
static void was_mapped(struct temp *t, unsigned threads)
{
	_cleanup_source_ struct rewritten s = rewritten_new(t->fd, "s",
							    threads);
	_cleanup_generation_ struct generation *g = NULL;
	char *m;

	start(&s);
	g = newest(s.live);
	m = map(&s, "src/other/data");
	memset(m, '2', SIZE);
	munmap(m, SIZE);
	assert_next(&s, &g, "other/data", '2');
	assert_same(&s, g);
}

/* What a link leads to, by its own name and by another. */
static void followed(struct temp *t, unsigned threads)
{
	_cleanup_source_ struct rewritten s = rewritten_new(t->fd, "s",
							    threads);
	_cleanup_generation_ struct generation *g = NULL;

	assert_sys(unlinkat(s.src, "kernels/bzImage", 0));
	put_byte(s.fd, "build/x", '1');
	assert_sys(symlinkat("../../build/x", s.src, "kernels/bzImage"));
	start(&s);
	g = newest(s.live);
	put_byte(s.fd, "build/x", '2');
	assert_next(&s, &g, "kernels/bzImage", '2');
	assert_sys(linkat(s.fd, "build/x", s.fd, "y", 0));
	put_byte(s.fd, "y", '3');
	assert_next(&s, &g, "kernels/bzImage", '3');
	assert_same(&s, g);
}

/* ---- what is no content ---- */

static void change_mode(const struct rewritten *s, const char *path)
{
	assert_sys(fchmodat(s->src, path, 0600, 0));
	assert_sys(fchmodat(s->src, path, 0644, 0));
}

static void change_owner(const struct rewritten *s, const char *path)
{
	assert_sys(fchownat(s->src, path, getuid(), getgid(), 0));
}

static void change_attribute(const struct rewritten *s, const char *path)
{
	_cleanup_close_ int fd = openat(s->src, path, O_RDONLY | O_CLOEXEC);

	assert_sys(fsetxattr(fd, "user.test", "1", 1, 0));
}

static void link_inside(const struct rewritten *s, const char *path)
{
	assert_sys(linkat(s->src, path, s->src, "a00/x", 0));
}

static void link_outside(const struct rewritten *s, const char *path)
{
	assert_sys(linkat(s->src, path, s->fd, "build/x", 0));
}

static void link_comes_and_goes(const struct rewritten *s, const char *path)
{
	assert_sys(linkat(s->src, path, s->fd, "build/y", 0));
	assert_sys(unlinkat(s->fd, "build/y", 0));
}

/* As dpkg does with what it is about to replace. */
static void link_beside_comes_and_goes(const struct rewritten *s,
				       const char *path)
{
	char other[64];

	snprintf(other, sizeof(other), "%s.dpkg-tmp", path);
	assert_sys(linkat(s->src, path, s->src, other, 0));
	assert_sys(unlinkat(s->src, other, 0));
}

static void open_for_reading(const struct rewritten *s, const char *path)
{
	close(openat(s->src, path, O_RDONLY | O_CLOEXEC));
}

static void try_attributes(int dir, unsigned threads, bool linked_before,
			   bool ask_between)
{
	static void (*const changes[])(const struct rewritten *,
				       const char *) = {
		change_mode,
		change_owner,
		change_attribute,
		link_inside,
		link_outside,
		link_comes_and_goes,
		link_beside_comes_and_goes,
		open_for_reading,
	};
	static const char *const paths[] = { "kernels/bzImage", "other/data" };

	for (unsigned i = 0; i < ARRAY_SIZE(changes) * 2; i++) {
		const char *path = paths[i % 2];
		_cleanup_source_ struct rewritten s = rewritten_new(dir, "s",
								    threads);
		_cleanup_generation_ struct generation *g = NULL;
		_cleanup_generation_ struct generation *after = NULL;

		if (linked_before)
			assert_sys(linkat(s.src, path, s.src, "a01/x", 0));
		start(&s);
		g = newest(s.live);
		assert_int_equal(byte_of(g, path), '1');
		for (unsigned round = 0; round < 2; round++) {
			tick();
			if (round == 0)
				changes[i / 2](&s, path);
			else
				link_comes_and_goes(&s, path);
			if (ask_between)
				generation_unref(newest(s.live));
			if (byte_of(g, path) != '1')
				fail_msg("change %u of %s: EIO", i / 2, path);
		}
		/* The next one reads it too, at once. */
		after = newest(s.live);
		assert_int_equal(byte_of(after, path), '1');
		/* And what is a change of content is one still. */
		put_byte(s.src, path, '2');
		assert_int_equal(byte_of(g, path), -ESTALE);
		generation_unref(take_ptr(after));
		after = newest(s.live);
		assert_int_equal(byte_of(after, path), '2');
		clear(dir);
	}
}

static void attributes(struct temp *t, unsigned threads)
{
	try_attributes(t->fd, threads, false, false);
	try_attributes(t->fd, threads, true, true);
}

/* Times and size are set back: the events tell. */
static void try_secret(int dir, unsigned threads, const char *path,
		       const char *writer)
{
	_cleanup_source_ struct rewritten s = rewritten_new(dir, "s", threads);
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_generation_ struct generation *next = NULL;
	struct stat st;

	if (*writer == 'l')
		assert_sys(linkat(s.src, path, s.fd, "build/x", 0));
	start(&s);
	g = newest(s.live);
	assert_sys(fstatat(s.src, path, &st, 0));
	if (*writer == 'L')
		assert_sys(linkat(s.src, path, s.fd, "build/x", 0));
	if (*writer == 'm') {
		char name[64];
		char *m;

		snprintf(name, sizeof(name), "src/%s", path);
		m = map(&s, name);
		memset(m, '2', SIZE);
		munmap(m, SIZE);
	} else if (*writer == 'w') {
		put_byte(s.src, path, '2');
	} else {
		put_byte(s.fd, "build/x", '2');
	}
	assert_sys(utimensat(s.src, path,
			     (struct timespec[]){ st.st_atim, st.st_mtim }, 0));
	link_comes_and_goes(&s, path);
	change_mode(&s, path);
	assert_int_equal(byte_of(g, path), -ESTALE);
	next = newest(s.live);
	assert_int_equal(byte_of(next, path), '2');
	/* It stays so, whatever names it gets or loses. */
	link_comes_and_goes(&s, path);
	assert_int_equal(byte_of(g, path), -ESTALE);
	assert_int_equal(byte_of(next, path), '2');
	clear(dir);
}

static void secret_writers(struct temp *t, unsigned threads)
{
	try_secret(t->fd, threads, "kernels/bzImage", "w");
	try_secret(t->fd, threads, "kernels/bzImage", "link");
	try_secret(t->fd, threads, "kernels/bzImage", "Link later");
	try_secret(t->fd, threads, "kernels/bzImage", "map");
	try_secret(t->fd, threads, "other/data", "w");
	try_secret(t->fd, threads, "other/data", "link");
	try_secret(t->fd, threads, "other/data", "map");
}

/* A change time that moved proves nothing while somebody may be writing. */
static void writers_at_work(struct temp *t, unsigned threads)
{
	static const char *const paths[] = { "kernels/bzImage", "other/data" };

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_source_ struct rewritten s = rewritten_new(t->fd, "s",
								    threads);
		_cleanup_generation_ struct generation *g = NULL;
		int fd;

		start(&s);
		g = newest(s.live);
		fd = openat(s.src, paths[i], O_WRONLY | O_CLOEXEC);
		tick();
		assert_sys(fchmod(fd, 0600));
		assert_int_equal(byte_of(g, paths[i]), -ESTALE);
		close(fd);
		generation_unref(take_ptr(g));
		g = newest(s.live);
		assert_int_equal(byte_of(g, paths[i]), '1');
		clear(t->fd);
	}
}

/* Where events were lost nothing is taken for an attribute's change. */
static void events_were_lost(struct temp *t, unsigned threads)
{
	_cleanup_source_ struct rewritten s = rewritten_new(t->fd, "s",
							    threads);
	_cleanup_generation_ struct generation *g = NULL;
	_cleanup_generation_ struct generation *next = NULL;

	start(&s);
	g = newest(s.live);
	pthread_mutex_lock(&s.live->watch->mutex);
	writes_forget(&s.live->watch->writes);
	pthread_mutex_unlock(&s.live->watch->mutex);
	tick();
	change_mode(&s, "other/data");
	assert_int_equal(byte_of(g, "other/data"), -ESTALE);
	/* From then on all is as before. */
	next = newest(s.live);
	tick();
	change_mode(&s, "other/data");
	assert_int_equal(byte_of(next, "other/data"), '1');
}

/* ---- without watches ---- */

static void asked_not_to_watch(struct temp *t, unsigned threads)
{
	_cleanup_source_ struct rewritten s = rewritten_new(t->fd, "s",
							    threads);
	const struct live_options options = {
		.image = {
			.src_fd = s.src,
			.src_path = "/src",
			.boot.no_grub = true,
			.scan.threads = threads,
		},
		.no_watch = true,
		.notice = count_notice,
		.context = &s.notices,
	};
	_cleanup_generation_ struct generation *g = NULL;

	tick();
	assert_ok(live_new(&s.live, &options, NULL));
	live_start_thread(s.live);
	assert_int_equal(s.live->watch->fd, -1);
	g = newest(s.live);
	for (char byte = '2'; byte < '5'; byte++) {
		put_byte(s.src, "other/data", byte);
		assert_next(&s, &g, "other/data", byte);
	}
	assert_int_equal(generation_number(g), 4);
	assert_int_equal(s.notices.n, 0);
}

#define BOTH(f)                                     \
	static void f##_one_thread(void **state)    \
	{                                           \
		f(*state, 1);                       \
	}                                           \
	static void f##_eight_threads(void **state) \
	{                                           \
		f(*state, 8);                       \
	}
BOTH(linked)
BOTH(linked_later)
BOTH(mapped)
BOTH(was_mapped)
BOTH(followed)
BOTH(attributes)
BOTH(secret_writers)
BOTH(writers_at_work)
BOTH(events_were_lost)
BOTH(asked_not_to_watch)
#define TWICE(f) temp_test(f##_one_thread), temp_test(f##_eight_threads)

/* There a mapping writes without another time, ever. */
static int temp_in_memory(void **state)
{
	struct temp *t = calloc(1, sizeof(*t));

	strcpy(t->path, "/dev/shm/dirdisk-unit-XXXXXX");
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return t->fd < 0 ? -1 : 0;
}
#define IN_MEMORY(f) \
	cmocka_unit_test_setup_teardown(f, temp_in_memory, temp_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TWICE(linked),
		TWICE(linked_later),
		TWICE(mapped),
		TWICE(was_mapped),
		IN_MEMORY(mapped_one_thread),
		IN_MEMORY(mapped_eight_threads),
		IN_MEMORY(was_mapped_one_thread),
		IN_MEMORY(secret_writers_one_thread),
		TWICE(followed),
		TWICE(attributes),
		TWICE(secret_writers),
		TWICE(writers_at_work),
		TWICE(events_were_lost),
		TWICE(asked_not_to_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
