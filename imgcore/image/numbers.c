/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/numbers.h"

#include "base/vec.h"

/* So many more are taken before they are sorted. */
#define SLACK 1024u

static int number_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void numbers_sort(struct numbers *numbers)
{
	size_t n = 0;

	if (numbers->sorted == numbers->count)
		return;
	qsort(numbers->items, numbers->count, sizeof(*numbers->items),
	      number_compare);
	for (size_t i = 0; i < numbers->count; i++)
		if (n == 0 || numbers->items[n - 1] != numbers->items[i])
			numbers->items[n++] = numbers->items[i];
	numbers->count = numbers->sorted = n;
}

int numbers_add(struct numbers *numbers, uint64_t number)
{
	uint64_t *item;

	if (numbers->count > numbers->sorted &&
	    numbers->items[numbers->count - 1] == number)
		return 0;
	if (numbers->count >= 2 * numbers->sorted + SLACK)
		numbers_sort(numbers);
	item = vec_push(numbers);
	if (!item)
		return -ENOMEM;
	*item = number;
	return 0;
}

int numbers_add_all(struct numbers *numbers, const struct numbers *others)
{
	int r = 0;

	for (size_t i = 0; i < others->count && r == 0; i++)
		r = numbers_add(numbers, others->items[i]);
	return r;
}

bool numbers_has(const struct numbers *numbers, uint64_t number)
{
	return numbers->sorted > 0 &&
	       bsearch(&number, numbers->items, numbers->sorted, sizeof(number),
		       number_compare);
}

void numbers_clear(struct numbers *numbers)
{
	numbers->count = numbers->sorted = 0;
}

void numbers_release(struct numbers *numbers)
{
	vec_free(numbers);
	numbers->sorted = 0;
}
