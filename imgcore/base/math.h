/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MATH_H
#define BASE_MATH_H

#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline uint64_t round_up(uint64_t a, uint64_t to)
{
	return div_up(a, to) * to;
}

static inline uint64_t round_down(uint64_t a, uint64_t to)
{
	return a / to * to;
}

#endif
