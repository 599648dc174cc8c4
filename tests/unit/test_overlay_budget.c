/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much all overlays of a process may store. */
#include "support_overlay.h"

#include <sys/statvfs.h>

#include "imgcore/overlay_budget.h"

DEFINE_CLEANUP(struct overlay_budget, overlay_budget_free)
#define _cleanup_budget_ _cleanup_(overlay_budget_freep)

static const uint8_t block[BLOCK] = { 'b' };

/* What a block is that nobody could write. */
static void assert_unwritten(const struct disk *d, uint64_t at)
{
	uint8_t buf[BLOCK], base[BLOCK];

	assert_ok(overlay_pread(d->overlay, buf, BLOCK, at, NULL));
	assert_ok(image_pread(d->image, base, BLOCK, at, NULL));
	assert_memory_equal(buf, base, BLOCK);
}

static void overlays_share_it(void **state)
{
	const struct temp *t = *state;
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_disk_ struct disk first, second;
	struct overlay *one, *two;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_free_ uint8_t *many = calloc(20, BLOCK);

	/* Ten blocks, and what is none. */
	assert_ok(overlay_budget_new(&budget, t->fd, 10 * BLOCK + 4095));
	disk_init(&first, MIB(8), t->fd, budget);
	disk_init(&second, MIB(8), t->fd, budget);
	one = first.overlay;
	two = second.overlay;
	assert_ok(overlay_pwrite(one, many, 6 * BLOCK, MIB(1), NULL));
	assert_ok(overlay_pwrite(two, "x", 1, MIB(1) + 5, NULL));
	/* All of a write, or nothing of it: four are too many, three are not.
	 */
	assert_int_equal(overlay_pwrite(two, many, 4 * BLOCK, MIB(2), &diag),
			 -ENOSPC);
	assert_string_equal(diag.path, "--overlay-limit");
	assert_int_equal(overlay_data_size(two), BLOCK);
	for (unsigned i = 0; i < 4; i++)
		assert_unwritten(&second, MIB(2) + i * BLOCK);
	assert_ok(overlay_pwrite(two, many, 2 * BLOCK, MIB(2) + 512, NULL));
	assert_int_equal(overlay_pwrite(one, "x", 1, 0, NULL), -ENOSPC);
	assert_unwritten(&first, 0);
	/* What is stored already costs nothing. */
	assert_ok(overlay_pwrite(one, many, 6 * BLOCK, MIB(1), NULL));
	assert_ok(overlay_pwrite(one, "x", 1, MIB(1) + 77, NULL));
	assert_int_equal(overlay_pwrite(one, many, 7 * BLOCK, MIB(1), NULL),
			 -ENOSPC);
	/* An overlay gives back what it had. */
	overlay_free(two);
	second.overlay = NULL;
	assert_ok(overlay_pwrite(one, many, 4 * BLOCK, MIB(3), NULL));
	assert_int_equal(overlay_pwrite(one, "x", 1, 0, NULL), -ENOSPC);
	assert_true(overlay_budget_report(budget));
	assert_false(overlay_budget_report(budget));
}

static void nothing_at_all(void **state)
{
	const struct temp *t = *state;
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	struct overlay_budget *none = NULL;
	_cleanup_disk_ struct disk d;

	assert_ok(overlay_budget_new(&budget, t->fd, 0));
	disk_init(&d, MIB(8), t->fd, budget);
	assert_int_equal(overlay_pwrite(d.overlay, block, BLOCK, 0, NULL),
			 -ENOSPC);
	assert_unwritten(&d, 0);
	assert_int_equal(overlay_budget_new(&none, -1, 0), -EBADF);
	assert_null(none);
}

/* Threads of two overlays together have what there is, and no more. */
static void *write_all(void *context)
{
	struct worker *w = context;
	unsigned *written = w->context;

	for (unsigned i = 0; i < 200; i++)
		if (overlay_pwrite(w->disk->overlay, block, BLOCK,
				   (uint64_t)(w->number * 200 + i) * BLOCK,
				   NULL) == 0)
			++*written;
	return NULL;
}

static void threads_share_it(void **state)
{
	const struct temp *t = *state;
	_cleanup_budget_ struct overlay_budget *budget = NULL;
	_cleanup_disk_ struct disk one, two;
	struct worker workers[8];
	unsigned written[8] = { 0 };
	unsigned sum = 0;

	assert_ok(overlay_budget_new(&budget, t->fd, 1000 * BLOCK));
	disk_init(&one, MIB(8), t->fd, budget);
	disk_init(&two, MIB(8), t->fd, budget);
	for (unsigned i = 0; i < 8; i++)
		workers[i] = (struct worker){ .disk = i % 2 ? &one : &two,
					      .number = i,
					      .context = &written[i] };
	run_workers(workers, 8, write_all);
	for (unsigned i = 0; i < 8; i++)
		sum += written[i];
	assert_int_equal(sum, 1000);
	assert_int_equal(overlay_data_size(one.overlay) +
				 overlay_data_size(two.overlay),
			 1000 * BLOCK);
}

/* ---- by free space: on a file system of its own ---- */

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

	CHECK(private_mounts());
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
