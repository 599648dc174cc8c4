/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SUPPORT_ORDER_H
#define SUPPORT_ORDER_H

/*
 * Whether a comparison of texts is an order, shown for every text that at most
 * max_parts of some parts make. Random triples found too few of the faults.
 */

#include <stdlib.h>
#include <string.h>

/* The longest text with its NUL. */
#define ORDER_TEXT_SIZE 24

typedef int compare_fn(const char *a, const char *b);

struct order_texts {
	char (*text)[ORDER_TEXT_SIZE];
	size_t n;
};

/* Adds start, and start with up to left parts behind it. */
static inline void order_add(struct order_texts *all, const char *start,
			     const char *const *parts, size_t n_parts,
			     unsigned left)
{
	char text[ORDER_TEXT_SIZE];
	size_t len = strlen(start);

	memcpy(all->text[all->n++], start, len + 1);
	for (size_t i = 0; left > 0 && i < n_parts; i++) {
		size_t part_len = strlen(parts[i]);

		assert_true(len + part_len < sizeof(text));
		memcpy(text, start, len);
		memcpy(text + len, parts[i], part_len + 1);
		order_add(all, text, parts, n_parts, left - 1);
	}
}

static inline int order_compare(const void *a, const void *b, void *compare)
{
	return (*(compare_fn **)compare)(a, b);
}

static inline void assert_is_an_order(compare_fn *compare,
				      const char *const *parts, size_t n_parts,
				      unsigned max_parts)
{
	struct order_texts all = { 0 };
	size_t most = 1;

	for (unsigned i = 0; i < max_parts; i++)
		most = most * n_parts + 1;
	all.text = calloc(most, sizeof(all.text[0]));
	assert_non_null(all.text);
	order_add(&all, "", parts, n_parts, max_parts);
	qsort_r(all.text, all.n, sizeof(all.text[0]), order_compare, &compare);
	for (size_t b = 0, first = 0; b < all.n; b++) {
		/* Those from first on are as high, all before are lower. */
		if (b > 0 && compare(all.text[b - 1], all.text[b]) != 0)
			first = b;
		for (size_t a = 0; a < b; a++) {
			int ab = compare(all.text[a], all.text[b]);
			int ba = compare(all.text[b], all.text[a]);

			if (a < first ? ab >= 0 || ba <= 0 : ab || ba)
				fail_msg("\"%s\" and \"%s\" break the order",
					 all.text[a], all.text[b]);
		}
	}
	free(all.text);
}

#endif
