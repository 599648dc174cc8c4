/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cache of open host files: many threads and more files than it has room
 * for, and never a byte of a file that is no longer the one scanned.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "image/descriptor_cache.h"

#define FILES	500
#define THREADS 8
#define SIZE	10000u

struct cache {
	struct tree *tree;
	struct descriptor_cache *files;
	tree_id nodes[FILES];
};

static uint64_t seed;

static uint8_t byte_at(unsigned file, uint64_t offset)
{
	return (uint8_t)(file * 31 + offset * 7 + offset / 256);
}

static void fill(unsigned file, uint8_t *buf, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(file, offset + i);
}

static void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

/* Scanned a while after they were written: clocks tick slowly. */
static void cache_init(struct cache *c, int dir, unsigned files)
{
	uint8_t buf[SIZE];
	char name[16];

	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		fill(i, buf, 0, SIZE);
		put_bytes(dir, name, buf, SIZE);
	}
	tick();
	c->tree = scan(dir, &scan_all, NULL);
	assert_ok(descriptor_cache_new(&c->files, false));
	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		c->nodes[i] = must_find(c->tree, name);
	}
}

static void cache_release(struct cache *c)
{
	descriptor_cache_free(c->files);
	tree_free(c->tree);
}

#define _cleanup_cache_ _cleanup_(cache_release)

static int read_of(const struct cache *c, unsigned file, void *buf, size_t len,
		   uint64_t offset, struct diag *diag)
{
	return descriptor_cache_read(c->files, c->tree, c->nodes[file], NULL,
				     buf, len, offset, diag);
}

/* ---- threads: they return what they found wrong ---- */

struct reader {
	const struct cache *cache;
	uint64_t seed;
	unsigned files;
	unsigned reads;
	atomic_bool *stop;
	unsigned stale;
	const char *problem;
};

/* One random read: 0, -ESTALE, or a message. */
static int read_random(struct reader *r, unsigned *ret_file)
{
	unsigned file = (unsigned)random_below(&r->seed, r->files);
	uint64_t offset = random_below(&r->seed, SIZE);
	size_t len = 1 + random_below(&r->seed, SIZE - offset);
	uint8_t buf[SIZE], expected[SIZE];
	int e = read_of(r->cache, file, buf, len, offset, NULL);

	*ret_file = file;
	if (e < 0)
		return e;
	fill(file, expected, offset, len);
	return memcmp(buf, expected, len) == 0 ? 0 : -EILSEQ;
}

static void *read_many(void *context)
{
	struct reader *r = context;
	unsigned file;

	for (unsigned i = 0; i < r->reads; i++)
		if (read_random(r, &file) < 0)
			r->problem = "a read failed, or gave other bytes";
	return NULL;
}

static void run_readers(struct reader readers[THREADS],
			void *(*function)(void *))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		readers[i].seed = random_next(&seed);
		assert_int_equal(pthread_create(&threads[i], NULL, function,
						&readers[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (readers[i].problem)
			fail_msg("%s", readers[i].problem);
	}
}

static void more_files_than_slots(void **state)
{
	const struct temp *t = *state;
	int before = count_descriptors();

	{
		_cleanup_cache_ struct cache c = { 0 };
		struct reader readers[THREADS];

		cache_init(&c, t->fd, FILES);
		for (int i = 0; i < THREADS; i++)
			readers[i] = (struct reader){ .cache = &c,
						      .files = FILES,
						      .reads = 1500 };
		run_readers(readers, read_many);
		/* The tree's root, and what the cache holds open. */
		assert_true(count_descriptors() <= before + 1 + 128);
		assert_true(count_descriptors() > before + 50);
	}
	assert_int_equal(count_descriptors(), before);
}

/* Every thread wants the same few files at once. */
static void few_files(void **state)
{
	const struct temp *t = *state;

	for (int round = 0; round < 8; round++) {
		_cleanup_cache_ struct cache c = { 0 };
		struct reader readers[THREADS];

		cache_init(&c, t->fd, 2);
		for (int i = 0; i < THREADS; i++)
			readers[i] = (struct reader){ .cache = &c,
						      .files = 2,
						      .reads = 50 };
		run_readers(readers, read_many);
	}
}

/* ---- files that change ---- */

static void *read_until_stale(void *context)
{
	struct reader *r = context;

	while (!atomic_load(r->stop)) {
		unsigned file;
		int e = read_random(r, &file);

		if (e == -ESTALE)
			r->stale++;
		else if (e < 0)
			r->problem = "bytes of two moments, or another error";
	}
	return NULL;
}

struct writer {
	int dir;
	unsigned files;
	atomic_bool *stop;
	bool failed;
};

/* Writes to every file in place, one after the other, and says when done. */
static void *write_all(void *context)
{
	struct writer *w = context;
	uint8_t other[SIZE];

	memset(other, 0xee, sizeof(other));
	for (unsigned i = 0; i < w->files; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "f%u", i);
		fd = openat(w->dir, name, O_WRONLY);
		if (fd < 0 || io_pwrite(fd, other, SIZE, 0) < 0)
			w->failed = true;
		close(fd);
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	atomic_store(w->stop, true);
	return NULL;
}

static void written_while_they_are_read(void **state)
{
	const struct temp *t = *state;
	_cleanup_cache_ struct cache c = { 0 };
	atomic_bool stop = false;
	struct writer writer = { t->fd, FILES, &stop, false };
	struct reader readers[THREADS];
	unsigned stale = 0;
	pthread_t thread;

	cache_init(&c, t->fd, FILES);
	for (int i = 0; i < THREADS; i++)
		readers[i] = (struct reader){ .cache = &c,
					      .files = FILES,
					      .stop = &stop };
	assert_int_equal(pthread_create(&thread, NULL, write_all, &writer), 0);
	run_readers(readers, read_until_stale);
	pthread_join(thread, NULL);
	assert_false(writer.failed);
	for (int i = 0; i < THREADS; i++)
		stale += readers[i].stale;
	assert_true(stale > 0);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(read_of(&c, i, &(uint8_t){ 0 }, 1, 0, NULL),
				 -ESTALE);
}

/* In the cache or not, the path is named. */
static void stale_names_the_path(void **state)
{
	const struct temp *t = *state;

	for (int cached = 0; cached < 2; cached++) {
		_cleanup_cache_ struct cache c = { 0 };
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		uint8_t byte = 0;

		cache_init(&c, t->fd, 1);
		if (cached)
			assert_ok(read_of(&c, 0, &byte, 1, 0, NULL));
		put_text(t->fd, "f0", "short");
		assert_int_equal(read_of(&c, 0, &byte, 1, 0, &diag), -ESTALE);
		assert_string_equal(diag.path, "/src/f0");
		assert_contains(diag.reason, "size");
		assert_int_equal(read_of(&c, 0, &byte, 1, 9000, &diag),
				 -ESTALE);
	}
}

/* It stays stale, whatever is put there. */
static void replaced_and_put_back(void **state)
{
	const struct temp *t = *state;
	_cleanup_cache_ struct cache c = { 0 };
	uint8_t byte;

	cache_init(&c, t->fd, 1);
	assert_ok(read_of(&c, 0, &byte, 1, 0, NULL));
	assert_sys(renameat(t->fd, "f0", t->fd, "away"));
	put_text(t->fd, "f0", "other");
	assert_int_equal(read_of(&c, 0, &byte, 1, 0, NULL), -ESTALE);
	assert_sys(renameat(t->fd, "away", t->fd, "f0"));
	assert_int_equal(read_of(&c, 0, &byte, 1, 0, NULL), -ESTALE);
}

/*
 * A file whose size promises more than a read gives, as in sysfs: an error
 * that names it, not zeroes.
 */
static void less_than_its_size(void **state)
{
	_cleanup_close_ int dir = open("/sys/kernel/cgroup",
				       O_RDONLY | O_DIRECTORY);
	_cleanup_cache_ struct cache c = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	/* Once asked for attributes, sysfs gives a file other times. */
	static const struct tree_scan_options options = {
		.xattrs = TREE_XATTRS_NONE,
	};
	uint8_t buf[4096];

	if (faccessat(dir, "features", R_OK, 0) < 0)
		skip();
	c.tree = scan(dir, &options, NULL);
	assert_ok(descriptor_cache_new(&c.files, false));
	c.nodes[0] = must_find(c.tree, "features");
	assert_int_equal(read_of(&c, 0, buf, 4096, 0, &diag), -EIO);
	assert_string_equal(diag.path, "/src/features");
	assert_contains(diag.reason, "fewer bytes");
}

/* ---- whole files, directory by directory ---- */

#define DIRS	5
#define IN_EACH 20

static void dirs_init(struct cache *c, int dir)
{
	uint8_t buf[SIZE];
	char name[32];

	for (unsigned i = 0; i < DIRS * IN_EACH; i++) {
		snprintf(name, sizeof(name), "d%u", i / IN_EACH);
		if (i % IN_EACH == 0)
			assert_sys(mkdirat(dir, name, 0755));
		snprintf(name, sizeof(name), "d%u/%u", i / IN_EACH, i);
		fill(i, buf, 0, SIZE);
		put_bytes(dir, name, buf, SIZE);
	}
	tick();
	c->tree = scan(dir, &scan_all, NULL);
	assert_ok(descriptor_cache_new(&c->files, false));
	for (unsigned i = 0; i < DIRS * IN_EACH; i++) {
		snprintf(name, sizeof(name), "d%u/%u", i / IN_EACH, i);
		c->nodes[i] = must_find(c->tree, name);
	}
}

static int read_whole(const struct cache *c, unsigned file,
		      struct tree_dir *dir, struct diag *diag)
{
	uint8_t buf[SIZE], expected[SIZE];
	int e = descriptor_cache_read(c->files, c->tree, c->nodes[file], dir,
				      buf, SIZE, 0, diag);

	fill(file, expected, 0, SIZE);
	if (e == 0 && memcmp(buf, expected, SIZE) != 0)
		return -EILSEQ;
	return e;
}

/* Now in order, now by chance, whole and in part. */
static void *read_all_kinds(void *context)
{
	struct reader *r = context;
	struct tree_dir dir = TREE_DIR_INIT;
	unsigned file = 0;
	int e = 0;

	for (unsigned i = 0; i < r->reads && e == 0; i++) {
		unsigned other;

		e = read_whole(r->cache, file, &dir, NULL);
		file = random_below(&r->seed, 8)
			       ? (file + 1) % r->files
			       : (unsigned)random_below(&r->seed, r->files);
		if (e == 0 && i % 4 == 0)
			e = read_random(r, &other);
	}
	tree_dir_release(&dir);
	if (e < 0)
		r->problem = "a read failed, or gave other bytes";
	return NULL;
}

static void whole_files_by_many(void **state)
{
	const struct temp *t = *state;
	int before = count_descriptors();

	{
		_cleanup_cache_ struct cache c = { 0 };
		struct reader readers[THREADS];

		dirs_init(&c, t->fd);
		for (int i = 0; i < THREADS; i++)
			readers[i] = (struct reader){ .cache = &c,
						      .files = DIRS * IN_EACH,
						      .reads = 1000 };
		run_readers(readers, read_all_kinds);
	}
	assert_int_equal(count_descriptors(), before);
}

/* It is opened for the second file, and not for one alone. */
static void directory_stays_open(void **state)
{
	const struct temp *t = *state;
	_cleanup_cache_ struct cache c = { 0 };
	struct tree_dir dir = TREE_DIR_INIT;
	int before;

	dirs_init(&c, t->fd);
	before = count_descriptors();
	assert_ok(read_whole(&c, 0, &dir, NULL));
	assert_int_equal(count_descriptors(), before);
	assert_ok(read_whole(&c, 1, &dir, NULL));
	assert_ok(read_whole(&c, 2, &dir, NULL));
	assert_int_equal(count_descriptors(), before + 1);
	assert_ok(read_whole(&c, IN_EACH, &dir, NULL));
	assert_int_equal(count_descriptors(), before);
	tree_dir_release(&dir);
	tree_dir_release(&dir);
	assert_int_equal(count_descriptors(), before);
}

/* Beneath the descriptor as from the root: no link, no other file. */
static void another_file_beneath_it(void **state)
{
	const struct temp *t = *state;
	_cleanup_cache_ struct cache c = { 0 };
	struct tree_dir dir = TREE_DIR_INIT;

	dirs_init(&c, t->fd);
	assert_ok(read_whole(&c, 0, &dir, NULL));
	assert_ok(read_whole(&c, 1, &dir, NULL));
	assert_sys(renameat(t->fd, "d0/2", t->fd, "away"));
	assert_sys(symlinkat("../away", t->fd, "d0/2"));
	assert_sys(renameat(t->fd, "d0/3", t->fd, "d0/4"));
	put_text(t->fd, "d0/5", "short");
	for (unsigned i = 2; i < 6; i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		char path[32];

		assert_int_equal(read_whole(&c, i, &dir, &diag), -ESTALE);
		snprintf(path, sizeof(path), "/src/d0/%u", i);
		assert_string_equal(diag.path, path);
	}
	assert_ok(read_whole(&c, 6, &dir, NULL));
	tree_dir_release(&dir);
}

static void nothing_to_free(void **state)
{
	descriptor_cache_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(more_files_than_slots),
		scan_tests(few_files),
		scan_tests(written_while_they_are_read),
		scan_tests(stale_names_the_path),
		scan_tests(replaced_and_put_back),
		scan_tests(whole_files_by_many),
		scan_tests(directory_stays_open),
		scan_tests(another_file_beneath_it),
		cmocka_unit_test(less_than_its_size),
		cmocka_unit_test(nothing_to_free),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
