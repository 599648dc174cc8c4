/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the partitions lie: the usual table, how it grows, where it ends. */
#include "support.h"

#include "base/math.h"
#include "image/layout.h"

#define MIB(n) ((n)*MEBIBYTE)

static uint64_t seed;

static const uint64_t little[2] = { MIB(4), MIB(60) };

struct layout {
	struct layout_entry partition[2];
	uint64_t size;
};

static int choose(uint64_t size, uint64_t boot_size, const uint64_t need[2],
		  struct layout *ret, struct diag *diag)
{
	struct layout_entry entries[2] = {
		{ .need = need[0],
		  .usual = LAYOUT_BOOT_SIZE,
		  .asked = boot_size,
		  .option = "--boot-size",
		  .holds = "/boot" },
		{ .need = need[1],
		  .usual = LAYOUT_SYSTEM_SIZE,
		  .holds = "the tree" },
	};
	int r = layout_choose(entries, 2, size, "/src", &ret->size, diag);

	memcpy(ret->partition, entries, sizeof(entries));
	return r;
}

static void assert_sectors(const struct layout *l, uint64_t first,
			   uint64_t first_end, uint64_t second,
			   uint64_t second_end, uint64_t size)
{
	assert_int_equal(l->partition[0].start, first * SECTOR);
	assert_int_equal(l->partition[0].size, (first_end - first) * SECTOR);
	assert_int_equal(l->partition[1].start, second * SECTOR);
	assert_int_equal(l->partition[1].size, (second_end - second) * SECTOR);
	assert_int_equal(l->size, size * SECTOR);
}

/* What must hold of any layout. */
static void check(const struct layout *l, const uint64_t need[2])
{
	uint64_t end = MEBIBYTE;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(l->partition[i].start % MEBIBYTE, 0);
		assert_int_equal(l->partition[i].size % MEBIBYTE, 0);
		assert_true(l->partition[i].start >= end);
		assert_true(l->partition[i].size >= need[i]);
		end = l->partition[i].start + l->partition[i].size;
	}
	assert_true(end <= l->size);
	assert_int_equal(l->size % SECTOR, 0);
	assert_true(l->size / SECTOR <= UINT32_MAX);
}

static void the_usual_table(void **state)
{
	const uint64_t full[2] = { MIB(18), MIB(171) };
	struct layout l;

	assert_ok(choose(0, 0, little, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 391168, 409600);
	assert_ok(choose(0, 0, full, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 391168, 409600);
}

static void grows_by_mebibytes(void **state)
{
	uint64_t need[2] = { MIB(18) + 1, MIB(171) };
	struct layout l;

	/* Partition 1 moves the second, within the same disk. */
	assert_ok(choose(0, 0, need, &l, NULL));
	assert_sectors(&l, 2048, 40960, 43008, 393216, 409600);
	need[0] = MIB(19);
	assert_ok(choose(0, 0, need, &l, NULL));
	assert_sectors(&l, 2048, 40960, 43008, 393216, 409600);
	/* 1 + 18 + 1 + 179 + 1 is the last that fits into 200. */
	need[0] = 1;
	need[1] = MIB(179);
	assert_ok(choose(0, 0, need, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 407552, 409600);
	need[1]++;
	assert_ok(choose(0, 0, need, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 409600, 411648);
}

static void random_needs(void **state)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t need[2];
		struct layout l, again;
		uint64_t size;

		for (int k = 0; k < 2; k++)
			need[k] = 4096 *
				  (1 + random_below(&seed,
						    UINT64_C(1) << random_below(
							    &seed, 28)));
		assert_ok(choose(0, 0, need, &l, NULL));
		check(&l, need);
		/* The size it chose can be asked for. */
		assert_ok(choose(l.size, 0, need, &again, NULL));
		check(&again, need);
		assert_int_equal(again.size, l.size);
		size = l.size + SECTOR * random_below(&seed, 1u << 24);
		assert_ok(choose(size, 0, need, &again, NULL));
		check(&again, need);
		assert_int_equal(again.size, size);
		assert_true(again.partition[1].start + again.partition[1].size >
			    size - MEBIBYTE);
	}
}

/* ---- sizes that are asked for ---- */

static void rest_goes_to_the_second(void **state)
{
	struct layout l;

	assert_ok(choose(MIB(1000), 0, little, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 2048000, 2048000);
	assert_ok(choose(MIB(1000) + 512, 0, little, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 2048000, 2048001);
	assert_ok(choose(MIB(1000), MIB(100), little, &l, NULL));
	assert_sectors(&l, 2048, 206848, 208896, 2048000, 2048000);
}

/* Partition 1 gives up what it does not need before the size is refused. */
static void small_size(void **state)
{
	struct layout l;

	assert_ok(choose(MIB(1 + 4 + 1 + 60), 0, little, &l, NULL));
	assert_sectors(&l, 2048, 10240, 12288, 135168, 135168);
	assert_ok(choose(MIB(1 + 18 + 1 + 60), 0, little, &l, NULL));
	assert_sectors(&l, 2048, 38912, 40960, 163840, 163840);
}

/* The number in "N are needed". */
static uint64_t needed(const struct diag *diag)
{
	const char *p = strstr(diag->reason, " are needed");

	assert_non_null(p);
	while (p > diag->reason && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return strtoull(p, NULL, 10);
}

static void too_small_says_how_much(void **state)
{
	for (int i = 0; i < 2000; i++) {
		const uint64_t need[2] = {
			4096 * (1 + random_below(&seed, 100000)),
			4096 * (1 + random_below(&seed, 1000000)),
		};
		uint64_t boot_size =
			i % 2 ? round_up(need[0], 4096) +
					SECTOR * random_below(&seed, 100000)
			      : 0;
		uint64_t size = SECTOR *
				(1 + random_below(&seed, need[1] / SECTOR));
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		struct layout l = { .size = 77 };
		uint64_t enough;

		assert_int_equal(choose(size, boot_size, need, &l, &diag),
				 -ENOSPC);
		assert_int_equal(l.size, 77);
		assert_string_equal(diag.path, "--size");
		enough = needed(&diag);
		assert_true(enough > size);
		assert_ok(choose(enough, boot_size, need, &l, NULL));
		check(&l, need);
		assert_int_equal(
			choose(enough - SECTOR, boot_size, need, &l, NULL),
			-ENOSPC);
	}
}

static void boot_size(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const uint64_t need[2] = { MIB(30) + 4096, MIB(60) };
	struct layout l;

	assert_int_equal(choose(0, MIB(20), need, &l, &diag), -ENOSPC);
	assert_string_equal(diag.path, "--boot-size");
	assert_int_equal(needed(&diag), MIB(31));
	assert_ok(choose(0, MIB(31), need, &l, NULL));
	assert_sectors(&l, 2048, 65536, 67584, 417792, 419840);
	/* Less than usual, and not whole mebibytes. */
	assert_ok(choose(0, MIB(5) + 512, little, &l, NULL));
	assert_sectors(&l, 2048, 14336, 16384, 366592, 409600);
}

/* ---- where an MBR ends ---- */

#define LARGEST (UINT64_C(0xffffffff) * SECTOR)

static void assert_too_large(uint64_t size, uint64_t boot,
			     const uint64_t need[2], const char *path)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct layout l;

	assert_int_equal(choose(size, boot, need, &l, &diag), -EFBIG);
	assert_string_equal(diag.path, path);
	assert_contains(diag.reason, "2 TiB");
}

static void two_tebibytes(void **state)
{
	static const uint64_t huge[] = {
		LARGEST + SECTOR,
		UINT64_C(1) << 41,
		UINT64_C(1) << 60,
		UINT64_C(9) << 60,
		UINT64_MAX / SECTOR * SECTOR,
	};
	uint64_t need[2] = { MIB(4), LARGEST - MIB(22) };
	struct layout l;

	assert_ok(choose(LARGEST, 0, little, &l, NULL));
	check(&l, little);
	for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
		assert_too_large(huge[i], 0, little, "--size");
		assert_too_large(0, huge[i], little, "--boot-size");
		assert_too_large(MIB(200), huge[i], little, "--boot-size");
	}
	assert_ok(choose(0, 0, need, &l, NULL));
	check(&l, need);
	need[1] += MEBIBYTE;
	assert_too_large(0, 0, need, "/src");
	need[1] = UINT64_C(1) << 41;
	assert_too_large(0, 0, need, "/src");
}

/* Both sizes that were asked for are too small. */
static void all_that_is_too_small(void **state)
{
	const uint64_t need[2] = { MIB(4), MIB(60) };
	_cleanup_(heard_clear) struct heard heard;
	_cleanup_diag_ struct diag diag = heard_begin(&heard);
	struct layout l;

	assert_ok(choose(MIB(20), MIB(2), need, &l, &diag));
	assert_int_equal(heard.n, 2);
	assert_contains(heard.lines[0], "--boot-size: 2097152 bytes");
	assert_contains(heard.lines[1], "--size: 20971520 bytes");
	assert_int_equal(diag.reported, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_usual_table),
		cmocka_unit_test(grows_by_mebibytes),
		cmocka_unit_test(random_needs),
		cmocka_unit_test(rest_goes_to_the_second),
		cmocka_unit_test(small_size),
		cmocka_unit_test(too_small_says_how_much),
		cmocka_unit_test(boot_size),
		cmocka_unit_test(two_tebibytes),
		cmocka_unit_test(all_that_is_too_small),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
