/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/vec.h"

#include <string.h>

int vec_grow(void **items, size_t *size, size_t count, size_t more,
	     size_t item_size)
{
	size_t want;
	size_t bytes;
	void *p;

	if (more <= *size - count)
		return 0;
	if (__builtin_add_overflow(count, more, &want))
		return -ENOMEM;
	/* By halves: what is spent on room stays below half of what is held. */
	if (want < *size + *size / 2)
		want = *size + *size / 2;
	if (want < 8)
		want = 8;
	if (__builtin_mul_overflow(want, item_size, &bytes))
		return -ENOMEM;
	p = realloc(*items, bytes);
	if (!p)
		return -ENOMEM;
	*items = p;
	*size = want;
	return 0;
}

void vec_trim(void **items, size_t *size, size_t count, size_t item_size)
{
	void *p;

	if (count == *size || count == 0)
		return;
	p = realloc(*items, count * item_size);
	if (!p)
		return;
	*items = p;
	*size = count;
}
