/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H

/* Binary searches. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The first i for which `before`, an expression with i, is false, or n:
 *     n = search_first(n_runs, i, runs[i].end <= block);
 * It is true for all that are before that one, and false for all after it.
 */
#define search_first(n, i, before)                        \
	({                                                \
		size_t _lo = 0;                           \
		size_t _hi = (n);                         \
                                                          \
		while (_lo < _hi) {                       \
			size_t i = _lo + (_hi - _lo) / 2; \
                                                          \
			if (before)                       \
				_lo = i + 1;              \
			else                              \
				_hi = i;                  \
		}                                         \
		_lo;                                      \
	})

static inline uint32_t search_key(const void *record)
{
	uint32_t number;

	memcpy(&number, record, sizeof(number));
	return number;
}

/*
 * The first of sorted records of `size` bytes, each of which begins with its
 * number, that is not below `number`; count if there is none.
 */
static inline size_t search_number(const void *records, size_t count,
				   size_t size, uint32_t number)
{
	const char *at = records;

	return search_first(count, i, search_key(at + i * size) < number);
}

/* The same in a vector. */
#define vec_search(v, number) \
	search_number((v)->items, (v)->count, sizeof(*(v)->items), number)

#endif
