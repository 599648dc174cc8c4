/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes that fail half way, and writers that wait: neither for each other's
 * host files, nor for ever.
 */
#include "support_overlay.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define DEADLINE 60 /* seconds; nothing here takes one */

static uint64_t seed;

/* ---- a host file that takes its time ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool blocked; /* reads wait */
	int readers; /* that wait */
	int done; /* writers */
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER,
	   .changed = PTHREAD_COND_INITIALIZER };

static void gate_set(bool blocked)
{
	pthread_mutex_lock(&gate.lock);
	gate.blocked = blocked;
	gate.done = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_count(int *counter)
{
	pthread_mutex_lock(&gate.lock);
	++*counter;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Whether a counter comes to n before the deadline. */
static bool gate_await(const int *counter, int n)
{
	struct timespec end;
	bool seen;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DEADLINE;
	pthread_mutex_lock(&gate.lock);
	while (*counter < n &&
	       pthread_cond_timedwait(&gate.changed, &gate.lock, &end) == 0)
		;
	seen = *counter >= n;
	pthread_mutex_unlock(&gate.lock);
	return seen;
}

static int slow_pread(struct content *content,
		      const struct content_reader *reader, void *buf,
		      size_t len, uint64_t offset)
{
	pthread_mutex_lock(&gate.lock);
	if (gate.blocked) {
		gate.readers++;
		pthread_cond_broadcast(&gate.changed);
		while (gate.blocked)
			pthread_cond_wait(&gate.changed, &gate.lock);
		gate.readers--;
	}
	pthread_mutex_unlock(&gate.lock);
	return pattern_pread(content, reader, buf, len, offset);
}

static struct content slow_content = { slow_pread, zero_release };

/* Where two files are on a disk: 200,000 bytes each. */
struct files {
	uint64_t slow;
	uint64_t fast;
};

static uint64_t start_on_disk(const struct image *image, const char *name)
{
	return find_on_disk(image, 2, must_find(image_tree(image, 1), name), 0);
}

static struct files slow_disk(struct disk *d, int tmp_fd)
{
	const struct image_options options = { .src_path = "/src",
					       .boot.no_grub = true };
	_cleanup_builder_ struct tree_builder *boot = builder_new();
	_cleanup_builder_ struct tree_builder *b = builder_new();
	struct image_trees trees = { 0 };

	add_pattern(b, 0, "fast", 200000);
	add_content(b, 0, "slow", &slow_content, 200000);
	trees.tree[0] = builder_tree(boot);
	trees.tree[1] = builder_tree(b);
	*d = (struct disk){ 0 };
	assert_ok(
		image_assemble(&options, NULL, &trees, NULL, &d->image, NULL));
	assert_ok(overlay_new(&d->overlay, d->image, tmp_fd, NULL));
	return (struct files){ start_on_disk(d->image, "slow"),
			       start_on_disk(d->image, "fast") };
}

static void *write_part_of_slow(void *context)
{
	struct worker *w = context;
	const struct files *files = w->context;

	w->error = overlay_pwrite(w->disk->overlay, "part", 4,
				  files->slow + 100, NULL);
	return NULL;
}

/* Whole blocks of both files, the slow block too, and parts of the fast one. */
static void *write_beside(void *context)
{
	struct worker *w = context;
	const struct files *files = w->context;
	struct overlay *o = w->disk->overlay;
	uint8_t block[BLOCK];
	int r = 0;

	memset(block, 'w', sizeof(block));
	for (unsigned i = 0; r == 0 && i < 16; i++) {
		uint64_t block_at = BLOCK * (uint64_t)((w->number + i) % 16);

		r = overlay_pwrite(o, block, BLOCK, files->slow + block_at,
				   NULL);
		if (r == 0)
			r = overlay_pwrite(
				o, "fast", 4,
				files->fast + block_at + 64 * w->number, NULL);
		if (r == 0)
			r = overlay_pread(o, block, BLOCK,
					  files->fast + block_at, NULL);
		memset(block, 'w', sizeof(block));
	}
	w->error = r;
	gate_count(&gate.done);
	return NULL;
}

static void hang_beside(const struct temp *t, unsigned n)
{
	_cleanup_disk_ struct disk d;
	struct worker workers[9];
	uint8_t block[BLOCK];
	struct files files;
	bool in_time;

	files = slow_disk(&d, t->fd);
	for (unsigned i = 0; i <= n; i++)
		workers[i] = (struct worker){ .disk = &d,
					      .number = i,
					      .context = &files };
	gate_set(true);
	start_worker(&workers[n], write_part_of_slow);
	assert_true(gate_await(&gate.readers, 1));
	for (unsigned i = 0; i < n; i++)
		start_worker(&workers[i], write_beside);
	in_time = gate_await(&gate.done, (int)n);
	gate_set(false);
	join_workers(workers, n + 1);
	if (!in_time)
		fail_msg("writers wait for a host file of another's write");
	/* The part came last, over the whole block. */
	assert_ok(overlay_pread(d.overlay, block, BLOCK, files.slow, NULL));
	for (unsigned i = 0; i < BLOCK; i++)
		assert_int_equal(block[i],
				 i >= 100 && i < 104 ? "part"[i - 100] : 'w');
}

static void hanging_host_read(void **state)
{
	hang_beside(*state, 1);
	hang_beside(*state, 8);
}

/* ---- a writer of parts among writers of streams ---- */

static void *write_stream(void *context)
{
	struct worker *w = context;
	const atomic_bool *stop = w->context;
	static uint8_t chunk[16 * BLOCK];
	uint64_t size = MIB(8);

	for (uint64_t at = 0; !atomic_load(stop) && !w->error;
	     at = (at + sizeof(chunk)) % size)
		w->error = overlay_pwrite(w->disk->overlay, chunk,
					  sizeof(chunk),
					  MIB(8) * (1 + w->number) + at, NULL);
	return NULL;
}

static void *write_parts(void *context)
{
	struct worker *w = context;

	for (unsigned i = 0; i < 1000 && !w->error; i++)
		w->error = overlay_pwrite(w->disk->overlay, "x", 1,
					  (uint64_t)i * BLOCK + 5, NULL);
	gate_count(&gate.done);
	return NULL;
}

static void starve(const struct temp *t, unsigned n)
{
	_cleanup_disk_ struct disk d;
	atomic_bool stop = false;
	struct worker workers[9];
	bool in_time;

	disk_init(&d, MIB(80), t->fd, NULL);
	gate_set(false);
	for (unsigned i = 0; i <= n; i++) {
		workers[i] = (struct worker){ .disk = &d,
					      .number = i,
					      .context = &stop };
		start_worker(&workers[i], i < n ? write_stream : write_parts);
	}
	in_time = gate_await(&gate.done, 1);
	atomic_store(&stop, true);
	join_workers(workers, n + 1);
	if (!in_time)
		fail_msg("a writer of parts starves beside %u streams", n);
}

static void no_writer_starves(void **state)
{
	starve(*state, 1);
	starve(*state, 8);
}

/* ---- two halves of one block, and readers ---- */

static void *write_or_read_halves(void *context)
{
	struct worker *w = context;
	struct overlay *o = w->disk->overlay;
	uint8_t buf[BLOCK], base[BLOCK];

	memset(buf, 0xfe, sizeof(buf));
	for (uint64_t b = 0; b < 1024 && !w->error; b++) {
		if (w->number < 2) {
			w->error = overlay_pwrite(
				o, buf, BLOCK / 2,
				b * BLOCK + w->number * BLOCK / 2, NULL);
			continue;
		}
		w->error = overlay_pread(o, buf, BLOCK, b * BLOCK, NULL);
		if (w->error == 0)
			w->error = image_pread(w->disk->image, base, BLOCK,
					       b * BLOCK, NULL);
		for (unsigned i = 0; i < BLOCK; i++)
			if (buf[i] != 0xfe && buf[i] != base[i])
				w->error = -EILSEQ;
	}
	return NULL;
}

static void halves_of_a_block(void **state)
{
	const struct temp *t = *state;

	for (int round = 0; round < 10; round++) {
		_cleanup_disk_ struct disk d;
		struct worker workers[4];
		uint8_t buf[BLOCK];

		disk_init(&d, MIB(8), t->fd, NULL);
		for (unsigned i = 0; i < 4; i++)
			workers[i] = (struct worker){ .disk = &d, .number = i };
		run_workers(workers, 4, write_or_read_halves);
		for (uint64_t b = 0; b < 1024; b++) {
			assert_ok(overlay_pread(d.overlay, buf, BLOCK,
						b * BLOCK, NULL));
			for (unsigned i = 0; i < BLOCK; i++)
				assert_int_equal(buf[i], 0xfe);
		}
	}
}

/* ---- files that may not grow: a process of its own, as limits are ---- */

static void limit_files(uint64_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		abort();
	limit.rlim_cur = size;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		abort();
}

static bool is_all(const uint8_t *buf, int c, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != c)
			return false;
	return true;
}

/* At the block of the image's data; five blocks, the third cut by the limit. */
static int fail_within_a_block(void *context)
{
	const struct temp *t = context;
	_cleanup_disk_ struct disk d;
	uint64_t at;
	uint8_t base[5 * BLOCK], buf[5 * BLOCK], bytes[5 * BLOCK];

	signal(SIGXFSZ, SIG_IGN);
	at = slow_disk(&d, t->fd).fast;
	CHECK(image_pread(d.image, base, sizeof(base), at, NULL) == 0);
	limit_files(at + 2 * BLOCK + 100);
	/* Never written before: whole, or the image's. */
	memset(bytes, 'a', sizeof(bytes));
	CHECK(overlay_pwrite(d.overlay, bytes, sizeof(bytes), at, NULL) ==
	      -EFBIG);
	CHECK(overlay_pread(d.overlay, buf, sizeof(buf), at, NULL) == 0);
	for (unsigned b = 0; b < 5; b++)
		CHECK(is_all(buf + b * BLOCK, 'a', BLOCK) ||
		      memcmp(buf + b * BLOCK, base + b * BLOCK, BLOCK) == 0);
	CHECK(memcmp(buf + 2 * BLOCK, base + 2 * BLOCK, 3 * BLOCK) == 0);
	CHECK(overlay_data_size(d.overlay) <= 2 * BLOCK);
	CHECK(overlay_pwrite(d.overlay, "x", 1, at + 2 * BLOCK + 200, NULL) ==
	      -EFBIG);
	CHECK(overlay_pwrite(d.overlay, "x", 1, at + 4 * BLOCK, NULL) ==
	      -EFBIG);
	CHECK(overlay_pread(d.overlay, buf, sizeof(buf), at, NULL) == 0);
	CHECK(memcmp(buf + 2 * BLOCK, base + 2 * BLOCK, 3 * BLOCK) == 0);
	/* Written before: as it was, or as it was to become. */
	limit_files(RLIM_INFINITY);
	CHECK(overlay_pwrite(d.overlay, bytes, sizeof(bytes), at, NULL) == 0);
	limit_files(at + 2 * BLOCK + 100);
	memset(bytes, 'b', sizeof(bytes));
	CHECK(overlay_pwrite(d.overlay, bytes, sizeof(bytes), at, NULL) ==
	      -EFBIG);
	for (int i = 0; i < 2; i++) {
		CHECK(overlay_pread(d.overlay, buf, sizeof(buf), at, NULL) ==
		      0);
		for (unsigned b = 0; b < 5; b++)
			CHECK(is_all(buf + b * BLOCK, 'a', BLOCK) ||
			      is_all(buf + b * BLOCK, 'b', BLOCK));
		CHECK(is_all(buf + 3 * BLOCK, 'a', 2 * BLOCK));
		CHECK(overlay_pread(d.overlay, buf, 100, at + 2 * BLOCK + 50,
				    NULL) == 0);
		CHECK(is_all(buf, buf[0], 100));
		if (i == 0)
			CHECK(overlay_flush(d.overlay, NULL) == -EFBIG);
		limit_files(RLIM_INFINITY);
		CHECK(overlay_flush(d.overlay, NULL) == 0);
	}
	/* A part of such a block. */
	memset(bytes, 'c', sizeof(bytes));
	CHECK(overlay_pwrite(d.overlay, bytes, sizeof(bytes), at, NULL) == 0);
	limit_files(at + 100);
	CHECK(overlay_pwrite(d.overlay, "ddddd", 5, at + 98, NULL) == -EFBIG);
	CHECK(overlay_pread(d.overlay, buf, BLOCK, at, NULL) == 0);
	CHECK(is_all(buf, 'c', BLOCK) ||
	      (is_all(buf, 'c', 98) && is_all(buf + 98, 'd', 5) &&
	       is_all(buf + 103, 'c', BLOCK - 103)));
	limit_files(RLIM_INFINITY);
	CHECK(overlay_pwrite(d.overlay, "e", 1, at + 99, NULL) == 0);
	CHECK(overlay_pread(d.overlay, buf, BLOCK, at, NULL) == 0);
	CHECK(buf[97] == 'c' && buf[99] == 'e' && buf[100] == buf[98] &&
	      buf[103] == 'c');
	return 0;
}

static void failure_within_a_block(void **state)
{
	assert_int_equal(run_apart(fail_within_a_block, *state), 0);
}

/* Of a disk, each thread has 64 blocks: what they are, and writes to them. */
#define OWN (64 * BLOCK)

static int write_or_fail(struct worker *w, uint8_t *own, uint8_t *buf)
{
	struct overlay *o = w->disk->overlay;
	uint64_t start = MIB(1) + (uint64_t)w->number * OWN;
	uint64_t at = random_below(&w->seed, OWN);
	size_t len = (size_t)min_u64(OWN - at,
				     1 + random_below(&w->seed, 5 * BLOCK));
	_cleanup_free_ uint8_t *new = malloc(OWN);
	int r;

	memcpy(new, own, OWN);
	for (size_t i = 0; i < len; i++)
		new[at + i] = (uint8_t)random_next(&w->seed);
	r = overlay_pwrite(o, new + at, len, start + at, NULL);
	if (r < 0 && r != -EFBIG)
		return r;
	if (overlay_pread(o, buf, OWN, start, NULL) < 0)
		return -EIO;
	for (unsigned b = 0; b < OWN; b += BLOCK) {
		bool is_new = memcmp(buf + b, new + b, BLOCK) == 0;

		if (!is_new && (r == 0 || memcmp(buf + b, own + b, BLOCK) != 0))
			return -EILSEQ;
	}
	memcpy(own, buf, OWN);
	return 0;
}

static void *write_under_limits(void *context)
{
	struct worker *w = context;
	_cleanup_free_ uint8_t *own = malloc(OWN);
	_cleanup_free_ uint8_t *buf = malloc(OWN);

	w->error = image_pread(w->disk->image, own, OWN,
			       MIB(1) + (uint64_t)w->number * OWN, NULL);
	for (unsigned i = 0; i < 300 && !w->error; i++)
		w->error = write_or_fail(w, own, buf);
	gate_count(&gate.done);
	return NULL;
}

static int fail_at_random(void *context)
{
	const struct temp *t = context;

	signal(SIGXFSZ, SIG_IGN);
	for (unsigned n = 1; n <= 8; n += 7) {
		_cleanup_disk_ struct disk d;
		struct worker workers[8];

		disk_init(&d, MIB(8), t->fd, NULL);
		gate_set(false);
		for (unsigned i = 0; i < n; i++) {
			workers[i] = (struct worker){
				.disk = &d,
				.number = i,
				.seed = random_next(&seed),
			};
			start_worker(&workers[i], write_under_limits);
		}
		for (int done = 0; done < (int)n;) {
			limit_files(random_below(&seed, 2)
					    ? RLIM_INFINITY
					    : MIB(1) + random_below(&seed,
								    n * OWN));
			sched_yield();
			pthread_mutex_lock(&gate.lock);
			done = gate.done;
			pthread_mutex_unlock(&gate.lock);
		}
		limit_files(RLIM_INFINITY);
		for (unsigned i = 0; i < n; i++)
			pthread_join(workers[i].thread, NULL);
		for (unsigned i = 0; i < n; i++)
			CHECK(workers[i].error == 0);
		CHECK(overlay_flush(d.overlay, NULL) == 0);
	}
	return 0;
}

static void failures_at_random(void **state)
{
	assert_int_equal(run_apart(fail_at_random, *state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(hanging_host_read),
		temp_test(no_writer_starves),
		temp_test(halves_of_a_block),
		temp_test(failure_within_a_block),
		temp_test(failures_at_random),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
