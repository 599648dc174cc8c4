/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/blockmap.h"

#include <assert.h>

#include "base/search.h"

static const uint64_t level_first[BLOCKMAP_LEVELS] = {
	0,
	BLOCKMAP_DIRECT,
	BLOCKMAP_DIRECT + BLOCKMAP_FANOUT,
	BLOCKMAP_DIRECT + BLOCKMAP_FANOUT + BLOCKMAP_FANOUT *BLOCKMAP_FANOUT,
};

/* The node that covers a block of the file, which lies in the level. */
static uint32_t node_of(unsigned level, uint64_t block)
{
	return (uint32_t)((block - level_first[level]) >> (10 * level));
}

/* First and last node of a run; 0 if none of it lies in the level. */
static int run_nodes(const struct block_run *run, unsigned level,
		     uint32_t *ret_a, uint32_t *ret_b)
{
	uint64_t start = run->start;

	if (run->end <= level_first[level])
		return 0;
	if (start < level_first[level])
		start = level_first[level];
	*ret_a = node_of(level, start);
	*ret_b = node_of(level, run->end - 1u);
	return 1;
}

static uint32_t nodes_until(const struct block_run *run, unsigned level)
{
	uint32_t a;
	uint32_t b;

	return run_nodes(run, level, &a, &b) ? run->rank[level] + b - a + 1 : 0;
}

void blockmap_load(struct blockmap *map, const struct block_run *runs, size_t n)
{
	*map = (struct blockmap){ .runs = runs, .n = n };
	if (n == 0)
		return;
	for (unsigned level = 0; level < 3; level++)
		map->count[level] = nodes_until(&runs[n - 1], level);
	map->count[3] = runs[n - 1].end > level_first[3];
}

void blockmap_init(struct blockmap *map, struct block_run *runs, size_t n)
{
	for (unsigned level = 0; level < 3; level++) {
		uint32_t before = 0; /* nodes up to here */
		uint32_t last = BLOCKMAP_NONE;

		for (size_t k = 0; k < n; k++) {
			uint32_t a;
			uint32_t b;

			runs[k].rank[level] = 0;
			if (!run_nodes(&runs[k], level, &a, &b))
				continue;
			/* Two runs may share an indirect block. */
			runs[k].rank[level] = before - (a == last);
			before = runs[k].rank[level] + b - a + 1;
			last = b;
		}
	}
	blockmap_load(map, runs, n);
}

uint64_t blockmap_total(const struct blockmap *map)
{
	uint64_t total = 0;

	for (unsigned level = 0; level < BLOCKMAP_LEVELS; level++)
		total += map->count[level];
	return total;
}

/* The first run that ends behind a block of the file; n if there is none. */
static size_t first_run_behind(const struct blockmap *map, uint64_t block)
{
	return search_first(map->n, i, map->runs[i].end <= block);
}

/* What stands before the nodes of a level. */
static uint32_t level_base(const struct blockmap *map, unsigned level)
{
	uint32_t base = 0;

	for (unsigned l = 0; l < level; l++)
		base += map->count[l];
	return base;
}

uint32_t blockmap_find(const struct blockmap *map, unsigned level, uint32_t x)
{
	uint64_t lo = level_first[level] + ((uint64_t)x << (10 * level));
	uint64_t hi = lo + (UINT64_C(1) << (10 * level));
	size_t k = first_run_behind(map, lo);
	uint32_t a = 0;
	uint32_t b;

	if (k == map->n || map->runs[k].start >= hi)
		return BLOCKMAP_NONE;
	if (level == 3)
		return level_base(map, 3);
	run_nodes(&map->runs[k], level, &a, &b);
	return level_base(map, level) + map->runs[k].rank[level] + x - a;
}

/* The last run whose first node of a level has at most that rank. */
static size_t run_of_rank(const struct blockmap *map, unsigned level,
			  uint32_t rank)
{
	return search_first(map->n, i, map->runs[i].rank[level] <= rank) - 1;
}

void blockmap_node(const struct blockmap *map, uint32_t number,
		   unsigned *ret_level, uint32_t *ret_x)
{
	const struct block_run *run;
	unsigned level = 0;
	uint32_t a = 0;
	uint32_t b;

	while (number >= map->count[level]) {
		number -= map->count[level++];
		assert(level < BLOCKMAP_LEVELS);
	}
	*ret_level = level;
	*ret_x = 0;
	if (level == 3)
		return;
	run = &map->runs[run_of_rank(map, level, number)];
	run_nodes(run, level, &a, &b);
	*ret_x = a + number - run->rank[level];
}

uint32_t blockmap_child(unsigned level, uint32_t x, uint32_t i)
{
	uint32_t first = level == 1 ? BLOCKMAP_DIRECT : 1;

	return first + x * BLOCKMAP_FANOUT + i;
}

const struct block_run *blockmap_run(const struct blockmap *map,
				     uint32_t number)
{
	return &map->runs[run_of_rank(map, 0, number)];
}
