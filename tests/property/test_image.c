/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What must hold for the disk of any tree:
 *   - the regions tile it, and holes are where they say
 *   - any read equals that slice of the whole
 *   - the same tree makes the same bytes, in whatever order it was put together
 * What others make of it is test_judges.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "random_tree.h"

#define MAX_ENTRIES 400

/* Where data runs on for longer than 64 of these, its ends are compared. */
#define LONG_RUN UINT64_C(1000000)

static void fail_with(const char *what, const struct diag *diag, int err)
{
	char *text = diag_format(diag, err);

	fail_msg("%s: %s", what, text);
}

static struct image *make_image(struct tree *boot, struct tree *system,
				uint64_t free)
{
	const struct image_options options = {
		.src_path = "random tree",
		.free = free,
		.boot.no_grub = true,
	};
	struct image_trees trees = { .tree = { boot, system } };
	struct diag diag = DIAG_INIT;
	struct image *image = NULL;
	int r = image_assemble(&options, NULL, &trees, NULL, &image, &diag);

	if (r < 0)
		fail_with("image_assemble", &diag, r);
	return image;
}

static void read_image(const struct image *image, void *buf, size_t len,
		       uint64_t offset)
{
	struct diag diag = DIAG_INIT;
	int r = image_pread(image, buf, len, offset, &diag);

	if (r < 0)
		fail_with("image_pread", &diag, r);
}

/* ---- the properties, on one tree ---- */

static void check_region(const struct image *image, const struct region *region,
			 uint64_t at)
{
	struct region again;

	assert_int_equal(region->start, at);
	assert_true(region->end > at);
	assert_true(region->end <= image_size(image));
	assert_non_null(region->what);
	/* Wherever it is asked for, it is the same region. */
	image_region_at(image, region->end - 1, &again);
	assert_int_equal(again.start, region->start);
	assert_int_equal(again.end, region->end);
	assert_int_equal(again.kind, region->kind);
	assert_int_equal(again.node, region->node);
	assert_int_equal(again.node_offset, region->node_offset);
}

static void check_zero(const struct image *image, const struct region *region,
		       struct random *r)
{
	static const uint8_t zeroes[4096];
	uint8_t buf[4096];
	uint64_t len = region->end - region->start;
	size_t n = len < sizeof(buf) ? len : sizeof(buf);
	uint64_t at = region->start + random_below(r, len - n + 1);

	read_image(image, buf, n, at);
	assert_memory_equal(buf, zeroes, n);
}

static void check_tiling(const struct image *image, struct random *r)
{
	uint64_t at = 0;

	while (at < image_size(image)) {
		struct region region;
		bool zero;

		image_region_at(image, at, &region);
		check_region(image, &region, at);
		zero = region.kind == REGION_ZERO;
		if (zero)
			check_zero(image, &region, r);
		assert_int_equal(image_next_data(image, at) == at, !zero);
		assert_int_equal(image_next_hole(image, at) == at, zero);
		at = region.end;
	}
	assert_int_equal(at, image_size(image));
}

/* A range, block by block: what all other reads have to agree with. */
static void read_blocks(const struct image *image, uint8_t *buf, size_t len,
			uint64_t offset)
{
	uint8_t block[4096];

	while (len > 0) {
		uint64_t start = offset - offset % sizeof(block);
		size_t skip = offset - start;
		size_t n = sizeof(block) - skip;
		uint64_t left = image_size(image) - start;

		read_image(image, block, left < 4096 ? left : 4096, start);
		n = n < len ? n : len;
		memcpy(buf, block + skip, n);
		buf += n;
		offset += n;
		len -= n;
	}
}

static void check_slices(const struct image *image, struct random *r)
{
	static uint8_t got[300000];
	static uint8_t want[300000];
	uint64_t size = image_size(image);

	for (int i = 0; i < 100; i++) {
		/* Half of them where there is something to see. */
		uint64_t at = random_below(r, size);
		uint64_t len = 1 +
			       random_below(r, i % 10 ? 9000 : sizeof(got) - 1);

		if (i % 2)
			at = image_next_data(image, at);
		if (at > 5000 && i % 4 == 1)
			at -= random_below(r, 5000);
		if (len > size - at)
			len = size - at;
		read_image(image, got, len, at);
		read_blocks(image, want, len, at);
		assert_memory_equal(got, want, len);
	}
}

/* The same bytes: all of a run, or of a very long one what its ends hold. */
static void check_same_run(const struct image *a, const struct image *b,
			   uint64_t at, uint64_t end)
{
	static uint8_t buf_a[1 << 16];
	static uint8_t buf_b[1 << 16];

	while (at < end) {
		size_t n = end - at < sizeof(buf_a) ? end - at : sizeof(buf_a);

		read_image(a, buf_a, n, at);
		read_image(b, buf_b, n, at);
		assert_memory_equal(buf_a, buf_b, n);
		at += n;
		if (end - at > 64 * LONG_RUN)
			at = end - LONG_RUN;
	}
}

static void check_same(const struct image *a, const struct image *b)
{
	uint64_t at = 0;

	assert_int_equal(image_size(a), image_size(b));
	while ((at = image_next_data(a, at)) < image_size(a)) {
		uint64_t end = image_next_hole(a, at);

		assert_int_equal(image_next_data(b, at), at);
		assert_int_equal(image_next_hole(b, at), end);
		check_same_run(a, b, at, end);
		at = end;
	}
	assert_int_equal(image_next_data(b, at), image_size(a));
}

/* Takes both: one tree, put together in two orders. */
static void check_images(struct image *image, struct image *again,
			 uint64_t seed)
{
	struct random r;

	random_init(&r, seed);
	check_tiling(image, &r);
	check_slices(image, &r);
	check_same(image, again);
	image_free(image);
	image_free(again);
}

static struct image *random_image(uint64_t seed, uint64_t order)
{
	return make_image(random_tree(seed * 2, order, MAX_ENTRIES / 8),
			  random_tree(seed * 2 + 1, order, MAX_ENTRIES),
			  seed % 3 * 100000000);
}

static struct image *large_image(uint64_t seed)
{
	return make_image(random_tree(seed, 1, 0), random_large_tree(seed), 0);
}

static void test_random_trees(void **state)
{
	uint64_t seed = random_seed();
	unsigned trials = random_trials(500, 5000);

	for (unsigned i = 0; i < trials; i++, seed++) {
		fprintf(stderr, "# tree %llu\n", (unsigned long long)seed);
		check_images(random_image(seed, 1), random_image(seed, 2),
			     seed);
	}
}

static void test_large_files(void **state)
{
	uint64_t seed = random_seed();
	unsigned trials = random_trials(50, 1000);

	for (unsigned i = 0; i < trials; i++, seed++) {
		fprintf(stderr, "# large tree %llu\n",
			(unsigned long long)seed);
		check_images(large_image(seed), large_image(seed), seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_trees),
		cmocka_unit_test(test_large_files),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
