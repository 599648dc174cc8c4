/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The first of sorted records of `size` bytes, each of which begins with its
 * number, that is not below `number`; count if there is none.
 */
static inline size_t search_number(const void *records, size_t count,
				   size_t size, uint32_t number)
{
	size_t lo = 0;
	size_t hi = count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		uint32_t at;

		memcpy(&at, (const char *)records + mid * size, sizeof(at));
		if (at < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The same in a vector. */
#define vec_search(v, number) \
	search_number((v)->items, (v)->count, sizeof(*(v)->items), number)

#endif
