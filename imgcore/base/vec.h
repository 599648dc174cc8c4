/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_VEC_H
#define BASE_VEC_H

/*
 * Growing arrays. A vector is any struct with `items`, `count` and `size`:
 *     struct { struct node *items; size_t count, size; } nodes = { 0 };
 *     struct node *n = vec_push(&nodes);      // zeroed; NULL: out of memory
 * Pointers into a vector last until the next push.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` items behind count; 0 or -ENOMEM. */
int vec_grow(void **items, size_t *size, size_t count, size_t more,
	     size_t item_size);
/* Gives back what growing took too much. */
void vec_trim(void **items, size_t *size, size_t count, size_t item_size);

#define vec_reserve(v, more)                                           \
	vec_grow((void **)&(v)->items, &(v)->size, (v)->count, (more), \
		 sizeof(*(v)->items))

#define vec_shrink(v)                                          \
	vec_trim((void **)&(v)->items, &(v)->size, (v)->count, \
		 sizeof(*(v)->items))

#define vec_push(v)                                                          \
	(vec_reserve(v, 1) < 0                                               \
		 ? NULL                                                      \
		 : (__typeof__((v)->items))memset(&(v)->items[(v)->count++], \
						  0, sizeof(*(v)->items)))

#define vec_free(v)                         \
	do {                                \
		free((v)->items);           \
		(v)->items = NULL;          \
		(v)->count = (v)->size = 0; \
	} while (0)

#endif
