/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_NUMBERS_H
#define IMAGE_NUMBERS_H

/*
 * A set of numbers, which can be added in any order and more than once: a
 * vector that is sorted by numbers_sort, and when it has doubled.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers {
	uint64_t *items;
	size_t count;
	size_t size;
	size_t sorted; /* of count, at the beginning, each once */
};

/* 0 or -ENOMEM. */
int numbers_add(struct numbers *numbers, uint64_t number);
int numbers_add_all(struct numbers *numbers, const struct numbers *others);
/* Sorts items, each number once. */
void numbers_sort(struct numbers *numbers);
/* Whether number is among them; they must have been sorted. */
bool numbers_has(const struct numbers *numbers, uint64_t number);
/* Empties it, and keeps its room. */
void numbers_clear(struct numbers *numbers);
void numbers_release(struct numbers *numbers);

#endif
