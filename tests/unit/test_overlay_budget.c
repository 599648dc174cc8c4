/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much all overlays of a process may store. */
#include "support_image.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "imgcore/overlay.h"
#include "imgcore/overlay_budget.h"

DEFINE_CLEANUP(struct overlay, overlay_free)
DEFINE_CLEANUP(struct overlay_budget, overlay_budget_free)
#define _cleanup_overlay_ _cleanup_(overlay_freep)
#define _cleanup_budget_  _cleanup_(overlay_budget_freep)

#define BLOCK  4096u
#define MIB(n) (UINT64_C(n) << 20)

static const uint8_t block[BLOCK] = { 'b' };

/* What a block is that nobody could write. */
static void assert_unwritten(const struct image *image, struct overlay *overlay,
			     uint64_t at)
{
	uint8_t buf[BLOCK], base[BLOCK];

	assert_ok(overlay_pread(overlay, buf, BLOCK, at, NULL));
	assert_ok(image_pread(image, base, BLOCK, at, NULL));
	assert_memory_equal(buf, base, BLOCK);
}

static void overlays_share_it(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = image_of(MIB(8));
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_overlay_ struct overlay *one = NULL;
	struct overlay *two;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_free_ uint8_t *many = calloc(20, BLOCK);

	/* Ten blocks, and what is none. */
	assert_ok(overlay_budget_new(&budget, t->fd, 10 * BLOCK + 4095));
	assert_ok(overlay_new(&one, image, t->fd, budget));
	assert_ok(overlay_new(&two, image, t->fd, budget));
	assert_ok(overlay_pwrite(one, many, 6 * BLOCK, MIB(1), NULL));
	assert_ok(overlay_pwrite(two, "x", 1, MIB(1) + 5, NULL));
	/* All of a write, or nothing of it: four are too many, three are not.
	 */
	assert_int_equal(overlay_pwrite(two, many, 4 * BLOCK, MIB(2), &diag),
			 -ENOSPC);
	assert_string_equal(diag.path, "--overlay-limit");
	assert_int_equal(overlay_data_size(two), BLOCK);
	for (unsigned i = 0; i < 4; i++)
		assert_unwritten(image, two, MIB(2) + i * BLOCK);
	assert_ok(overlay_pwrite(two, many, 2 * BLOCK, MIB(2) + 512, NULL));
	assert_int_equal(overlay_pwrite(one, "x", 1, 0, NULL), -ENOSPC);
	assert_unwritten(image, one, 0);
	/* What is stored already costs nothing. */
	assert_ok(overlay_pwrite(one, many, 6 * BLOCK, MIB(1), NULL));
	assert_ok(overlay_pwrite(one, "x", 1, MIB(1) + 77, NULL));
	assert_int_equal(overlay_pwrite(one, many, 7 * BLOCK, MIB(1), NULL),
			 -ENOSPC);
	/* An overlay gives back what it had. */
	overlay_free(two);
	assert_ok(overlay_pwrite(one, many, 4 * BLOCK, MIB(3), NULL));
	assert_int_equal(overlay_pwrite(one, "x", 1, 0, NULL), -ENOSPC);
	assert_true(overlay_budget_report(budget));
	assert_false(overlay_budget_report(budget));
}

static void nothing_at_all(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = image_of(MIB(8));
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_overlay_ struct overlay *o = NULL;

	assert_ok(overlay_budget_new(&budget, t->fd, 0));
	assert_ok(overlay_new(&o, image, t->fd, budget));
	assert_int_equal(overlay_pwrite(o, block, BLOCK, 0, NULL), -ENOSPC);
	assert_unwritten(image, o, 0);
	overlay_free(o);
	o = NULL;
	overlay_budget_free(budget);
	budget = NULL;
	assert_int_equal(overlay_budget_new(&budget, -1, 0), -EBADF);
	assert_null(budget);
}

/* Threads of two overlays together have what there is, and no more. */
struct writer {
	struct overlay *overlay;
	unsigned number;
	unsigned written;
};

static void *write_all(void *context)
{
	struct writer *w = context;

	for (unsigned i = 0; i < 200; i++)
		if (overlay_pwrite(w->overlay, block, BLOCK,
				   (uint64_t)(w->number * 200 + i) * BLOCK,
				   NULL) == 0)
			w->written++;
	return NULL;
}

static void threads_share_it(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = image_of(MIB(8));
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_overlay_ struct overlay *one = NULL, *two = NULL;
	struct writer writers[8];
	pthread_t threads[8];
	unsigned written = 0;

	assert_ok(overlay_budget_new(&budget, t->fd, 1000 * BLOCK));
	assert_ok(overlay_new(&one, image, t->fd, budget));
	assert_ok(overlay_new(&two, image, t->fd, budget));
	for (unsigned i = 0; i < 8; i++) {
		writers[i] = (struct writer){ i % 2 ? one : two, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, write_all,
						&writers[i]),
				 0);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		written += writers[i].written;
	}
	assert_int_equal(written, 1000);
	assert_int_equal(overlay_data_size(one) + overlay_data_size(two),
			 1000 * BLOCK);
}

/* ---- by free space: on a file system of its own ---- */

#define CHECK(condition)                                           \
	do {                                                       \
		if (!(condition)) {                                \
			fprintf(stderr, "line %d: %s\n", __LINE__, \
				#condition);                       \
			return 1;                                  \
		}                                                  \
	} while (0)

static uint64_t free_space(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) < 0 ? 0 : (uint64_t)st.f_bavail * st.f_frsize;
}

/* Writes mebibytes, from one on, until there is no room; how many. */
static unsigned fill(struct overlay *o, unsigned from)
{
	_cleanup_free_ uint8_t *buf = malloc(MIB(1));
	unsigned n = 0;

	memset(buf, 'f', MIB(1));
	while (overlay_pwrite(o, buf, MIB(1), MIB(1) * (from + n), NULL) == 0)
		n++;
	return n;
}

static int fill_but_the_reserve(void *context)
{
	const struct temp *t = context;
	_cleanup_image_ struct image *image = image_of(MIB(400));
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_overlay_ struct overlay *one = NULL, *two = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int other = -1;
	unsigned n;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", t->path, "tmpfs", 0, "size=288m") == 0);
	fd = open(t->path, O_RDONLY | O_DIRECTORY);
	CHECK(overlay_budget_new(&budget, fd, OVERLAY_LIMIT_FREE_SPACE) == 0);
	CHECK(overlay_new(&one, image, fd, budget) == 0);
	CHECK(overlay_new(&two, image, fd, budget) == 0);
	/* Others take ten of 32 MiB, and give them back. */
	other = openat(fd, "other", O_RDWR | O_CREAT, 0600);
	CHECK(posix_fallocate(other, 0, MIB(10)) == 0);
	n = fill(one, 0);
	CHECK(n >= 20 && n <= 22);
	CHECK(fill(two, 0) == 0);
	CHECK(overlay_pwrite(one, block, BLOCK, 0, NULL) == 0);
	CHECK(ftruncate(other, 0) == 0);
	n = fill(two, 0);
	CHECK(n >= 9 && n <= 11);
	CHECK(overlay_pwrite(one, block, BLOCK, MIB(399), &diag) == 0 ||
	      strcmp(diag.path, "--overlay-limit") == 0);
	CHECK(fill(one, 200) == 0);
	CHECK(free_space(fd) >= MIB(256) - MIB(1));
	/* The first one's end is the second one's room. */
	overlay_free(one);
	one = NULL;
	n += fill(two, n);
	CHECK(n >= 31 && n <= 32);
	CHECK(free_space(fd) >= MIB(256) - MIB(1));
	return 0;
}

static void free_space_but_a_reserve(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_apart(fill_but_the_reserve, *state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(overlays_share_it),
		temp_test(nothing_at_all),
		temp_test(threads_share_it),
		temp_test(free_space_but_a_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
