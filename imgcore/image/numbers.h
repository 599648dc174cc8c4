/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_NUMBERS_H
#define IMAGE_NUMBERS_H

/*
 * A set of numbers that may be added to in any order, and often the same: a
 * vector that is sorted when it is asked, and when it has doubled.
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
