/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file's blocks by arithmetic, against lists of every block: for random sets
 * of runs, most of them about the places where the levels of indirection begin.
 */
#include "support.h"

#include "ext2/blockmap.h"

#define CASES	   1500
#define MAX_RUNS   24
#define MAX_BLOCKS 4096
#define FILE_END   (UINT32_C(1) << 29) /* 2 TiB */

static uint64_t seed;

/* Where the levels begin, and every level-2 node of interest. */
static const uint32_t borders[] = {
	0,
	12,
	12 + 1024,
	12 + 2 * 1024,
	12 + 1024 + 1024 * 1024,
	12 + 1024 + 1024 * 1024 + 1024,
	12 + 1024 + 2 * 1024 * 1024,
	FILE_END - 1024,
	FILE_END,
};
static const uint64_t level_first[] = {
	0,
	12,
	12 + 1024,
	12 + 1024 + 1024 * 1024,
};

/* Every node of each level, in order. */
struct naive {
	uint32_t nodes[BLOCKMAP_LEVELS][MAX_BLOCKS];
	uint32_t count[BLOCKMAP_LEVELS];
};

static void naive_add(struct naive *naive, uint32_t block)
{
	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++) {
		uint32_t n = naive->count[level];
		uint32_t x;

		if (block < level_first[level])
			continue;
		x = (uint32_t)((block - level_first[level]) >> 10 * level);
		if (n > 0 && naive->nodes[level][n - 1] == x)
			continue;
		assert_true(n < MAX_BLOCKS);
		naive->nodes[level][n] = x;
		naive->count[level] = n + 1;
	}
}

static void naive_make(struct naive *naive, const struct block_run *runs,
		       size_t n)
{
	*naive = (struct naive){ 0 };
	for (size_t i = 0; i < n; i++)
		for (uint32_t b = runs[i].start; b < runs[i].end; b++)
			naive_add(naive, b);
}

static bool naive_has(const struct naive *naive, unsigned level, uint32_t x)
{
	uint32_t lo = 0;
	uint32_t hi = naive->count[level];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (naive->nodes[level][mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < naive->count[level] && naive->nodes[level][lo] == x;
}

/* ---- random runs ---- */

static uint32_t random_length(void)
{
	switch (random_below(&seed, 4)) {
	case 0:
		return 1;
	case 1:
		return 1 + (uint32_t)random_below(&seed, 4);
	case 2:
		return 1 + (uint32_t)random_below(&seed, 40);
	}
	return 1 + (uint32_t)random_below(&seed, 2000);
}

static uint32_t random_start(uint32_t from)
{
	uint32_t near = borders[random_below(&seed, ARRAY_SIZE(borders))];

	switch (random_below(&seed, 3)) {
	case 0: /* close behind the last: they share indirect blocks */
		return from + (uint32_t)random_below(&seed, 20);
	case 1: /* about a border */
		near -= (uint32_t)min_u64(near, random_below(&seed, 40));
		return near > from ? near : from;
	}
	return from + (uint32_t)random_below(&seed, FILE_END - from);
}

static size_t random_runs(struct block_run *runs)
{
	size_t want = 1 + random_below(&seed, MAX_RUNS);
	uint32_t total = 0;
	uint32_t from = 0;
	size_t n = 0;

	while (n < want && from < FILE_END) {
		uint32_t start = random_start(from);
		uint32_t len = random_length();

		if (start >= FILE_END || total + len > MAX_BLOCKS)
			break;
		len = (uint32_t)min_u64(len, FILE_END - start);
		runs[n++] = (struct block_run){ .start = start,
						.end = start + len };
		total += len;
		from = start + len + 1;
	}
	return n;
}

/* ---- what must hold ---- */

static void check_nodes(const struct blockmap *map, const struct naive *naive)
{
	uint32_t number = 0;

	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++) {
		assert_int_equal(map->count[level], naive->count[level]);
		for (uint32_t i = 0; i < naive->count[level]; i++, number++) {
			uint32_t x = naive->nodes[level][i];
			unsigned back_level = 99;
			uint32_t back = 99;

			assert_int_equal(blockmap_find(map, level, x), number);
			blockmap_node(map, number, &back_level, &back);
			assert_int_equal(back_level, level);
			assert_int_equal(back, x);
		}
	}
	assert_int_equal(blockmap_total(map), number);
}

static void check_holes(const struct blockmap *map, const struct naive *naive)
{
	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++) {
		uint32_t end = (FILE_END >> 10 * level) + 1;

		for (int i = 0; i < 50; i++) {
			uint32_t k = (uint32_t)random_below(
				&seed, naive->count[level] + 1u);
			uint32_t x = naive->nodes[level][k] +
				     (uint32_t)random_below(&seed, 3) - 1;

			if (i % 2)
				x = (uint32_t)random_below(&seed, end);
			if (x < end && !naive_has(naive, level, x))
				assert_int_equal(blockmap_find(map, level, x),
						 BLOCKMAP_NONE);
		}
	}
}

static void check_runs(const struct blockmap *map)
{
	uint32_t number = 0;

	for (size_t k = 0; k < map->n; k++) {
		const struct block_run *run = &map->runs[k];

		assert_int_equal(run->rank[0], number);
		for (uint32_t b = run->start; b < run->end; b++)
			assert_ptr_equal(blockmap_run(map, number++), run);
	}
}

/*
 * Goes from the inode to a block of the file, as a driver does; returns the
 * number of the data block, BLOCKMAP_NONE where a pointer on the way is none.
 */
static uint32_t walk(const struct blockmap *map, uint32_t block)
{
	uint32_t x = 0;
	unsigned level = 0;
	uint64_t rest = block;

	if (block < 12)
		return blockmap_find(map, 0, block);
	do {
		rest = block - level_first[++level];
	} while (level < 3 && block >= level_first[level + 1]);
	if (blockmap_find(map, level, 0) == BLOCKMAP_NONE)
		return BLOCKMAP_NONE;
	for (; level > 0; level--) {
		uint32_t slot = rest >> 10 * (level - 1) & 1023;

		x = blockmap_child(level, x, slot);
		if (blockmap_find(map, level - 1, x) == BLOCKMAP_NONE)
			return BLOCKMAP_NONE;
	}
	assert_int_equal(x, block);
	return blockmap_find(map, 0, x);
}

static void check_walks(const struct blockmap *map, const struct naive *naive)
{
	for (uint32_t i = 0; i < naive->count[0]; i++) {
		uint32_t block = naive->nodes[0][i];

		assert_int_equal(walk(map, block), i);
		if (block + 1 < FILE_END && !naive_has(naive, 0, block + 1))
			assert_int_equal(walk(map, block + 1), BLOCKMAP_NONE);
	}
}

static void check_children(const struct blockmap *map,
			   const struct naive *naive)
{
	for (unsigned level = 1; level < BLOCKMAP_LEVELS; level++) {
		uint32_t some = (uint32_t)min_u64(naive->count[level], 4);

		for (uint32_t k = 0; k < some; k++) {
			uint32_t n = naive->count[level];
			uint32_t x = naive->nodes[level][k * n / some];
			unsigned found = 0;

			for (uint32_t i = 0; i < 1024; i++) {
				uint32_t c = blockmap_child(level, x, i);
				bool has = naive_has(naive, level - 1, c);

				assert_int_equal(
					blockmap_find(map, level - 1, c) !=
						BLOCKMAP_NONE,
					has);
				found += has;
			}
			assert_true(found > 0);
		}
	}
}

static void check(struct block_run *runs, size_t n)
{
	static struct naive naive;
	struct blockmap map, again;

	naive_make(&naive, runs, n);
	blockmap_init(&map, runs, n);
	blockmap_load(&again, runs, n);
	assert_memory_equal(map.count, again.count, sizeof(map.count));
	check_nodes(&map, &naive);
	check_holes(&map, &naive);
	check_runs(&map);
	check_walks(&map, &naive);
	check_children(&map, &naive);
}

static void random_files(void **state)
{
	for (int i = 0; i < CASES; i++) {
		struct block_run runs[MAX_RUNS];

		check(runs, random_runs(runs));
	}
}

/* One or two blocks on either side of each border. */
static void borders_of_levels(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(borders); i++) {
		for (uint32_t k = 0; k < 6; k++) {
			uint32_t at = borders[i] + k - 3;
			struct block_run runs[2] = {
				{ .start = at, .end = at + 1 },
				{ .start = at + 2, .end = at + 3 },
			};

			if (at > FILE_END - 1)
				continue;
			check(runs, at + 3 <= FILE_END ? 2 : 1);
			runs[0] = (struct block_run){ .start = at,
						      .end = at + 2 };
			if (at + 2 <= FILE_END)
				check(runs, 1);
		}
	}
}

/* Three runs in what one indirect block covers, under each level. */
static void runs_that_share(void **state)
{
	for (size_t i = 1; i + 1 < ARRAY_SIZE(borders); i++) {
		struct block_run runs[MAX_RUNS];
		size_t n = 3 + random_below(&seed, MAX_RUNS - 3);

		for (size_t k = 0; k < n; k++)
			runs[k] = (struct block_run){
				.start = borders[i] + (uint32_t)(20 * k),
				.end = borders[i] + (uint32_t)(20 * k + 7),
			};
		check(runs, n);
	}
}

static void empty_file(void **state)
{
	struct blockmap map;

	blockmap_init(&map, NULL, 0);
	assert_int_equal(blockmap_total(&map), 0);
	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++)
		assert_int_equal(blockmap_find(&map, level, 0), BLOCKMAP_NONE);
}

static uint32_t dense_nodes(uint32_t blocks, unsigned level)
{
	if (blocks <= level_first[level])
		return 0;
	return (uint32_t)div_up(blocks - level_first[level],
				UINT64_C(1) << 10 * level);
}

static void check_dense(uint32_t blocks)
{
	struct block_run run = { .end = blocks };
	struct blockmap map;
	uint32_t before = 0;

	blockmap_init(&map, &run, 1);
	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++) {
		uint32_t n = dense_nodes(blocks, level);

		assert_int_equal(map.count[level], n);
		for (int i = 0; i < 20; i++) {
			uint32_t x = n == 0 ? 0
				     : i == 0
					     ? n - 1
					     : (uint32_t)random_below(&seed, n);
			unsigned l = 99;
			uint32_t back;

			assert_int_equal(blockmap_find(&map, level, n),
					 BLOCKMAP_NONE);
			if (n == 0)
				break;
			assert_int_equal(blockmap_find(&map, level, x),
					 before + x);
			blockmap_node(&map, before + x, &l, &back);
			assert_int_equal(l, level);
			assert_int_equal(back, x);
		}
		before += n;
	}
	for (int i = 0; i < 50; i++) {
		uint32_t b = (uint32_t)random_below(&seed, blocks);

		assert_int_equal(walk(&map, b), b);
	}
	assert_int_equal(walk(&map, blocks - 1), blocks - 1);
}

static void dense_files(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(borders); i++)
		for (uint32_t k = 0; k < 7; k++) {
			uint32_t blocks = borders[i] + k - 3;

			if (blocks > 0 && blocks <= FILE_END)
				check_dense(blocks);
		}
	for (int i = 0; i < 2000; i++)
		check_dense(1 + (uint32_t)random_below(&seed, FILE_END));
}

/* The numbers of the largest file there can be still fit. */
static void largest_file(void **state)
{
	struct block_run run = { .end = FILE_END };
	struct blockmap map;

	blockmap_init(&map, &run, 1);
	assert_int_equal(blockmap_total(&map),
			 UINT64_C(536870912) + 524288 + 512 + 1);
	assert_int_equal(blockmap_find(&map, 3, 0), 536870912 + 524288 + 512);
	assert_int_equal(walk(&map, FILE_END - 1), FILE_END - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file),
		cmocka_unit_test(borders_of_levels),
		cmocka_unit_test(runs_that_share),
		cmocka_unit_test(random_files),
		cmocka_unit_test(dense_files),
		cmocka_unit_test(largest_file),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
