/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MATH_H
#define BASE_MATH_H

#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* The digits of a constant that is a plain decimal, for a message. */
#define DECIMAL(number)	 DECIMAL_OF(number)
#define DECIMAL_OF(text) #text

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

#define NS_PER_SECOND INT64_C(1000000000)

/*
 * A time in nanoseconds since 1970. Times before 1677 and after 2262, which a
 * file system may invent, become the first and the last that can be held.
 */
static inline int64_t time_ns(int64_t seconds, int64_t ns)
{
	int64_t time;

	if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &time) ||
	    __builtin_add_overflow(time, ns, &time))
		return seconds < 0 ? INT64_MIN : INT64_MAX;
	return time;
}

#endif
