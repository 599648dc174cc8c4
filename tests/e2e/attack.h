/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ATTACK_H
#define ATTACK_H

/*
 * What attack.c writes and attack_read.c expects. A file is written once, in
 * whole blocks, and every sector of it says which file it is of (no two have
 * the same id), which block of how many, and whether it may be cut later. What
 * lies outside of SRC and must never be seen is full of SECRET.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define BLOCK	4096u
#define SECTORS 8
#define WORDS	64 /* of a sector */
#define BLOCKS	40 /* of a file, at most */

#define STAMP  UINT64_C(0x6b636174746120a1)
#define SECRET UINT64_C(0x736563726574a2a3)

struct stamp {
	uint64_t magic, id, block, blocks, cut, sector;
};

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x7fb5d329728ea185);
	x ^= x >> 27;
	x *= UINT64_C(0x81dadef4bc2dd44d);
	return x ^ x >> 33;
}

static inline uint64_t dice(uint64_t *state, uint64_t sides)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state) % sides;
}

static inline void stamp_block(uint64_t *block, const struct stamp *stamp)
{
	for (uint64_t i = 0; i < SECTORS; i++, block += WORDS) {
		struct stamp s = *stamp;
		uint64_t state = mix(s.id) ^ mix(s.block << 8 | i);

		s.magic = STAMP;
		s.sector = i;
		memcpy(block, &s, sizeof(s));
		for (size_t j = sizeof(s) / sizeof(*block); j < WORDS; j++)
			block[j] = mix(state + j);
	}
}

static inline void pause_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000),
			      (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline _Noreturn void give_up(const char *what)
{
	perror(what);
	exit(2);
}

#endif
