/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/vercmp.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What has no meaning at all. */
static bool is_other(char c)
{
	return c && !is_digit(c) && !is_letter(c) && !strchr("-.~^", c);
}

/* Digits by their value, whatever their number. */
static int compare_numbers(const char **a, const char **b)
{
	size_t x, y;
	int r;

	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	x = strspn(*a, "0123456789");
	y = strspn(*b, "0123456789");
	r = x != y ? (x < y ? -1 : 1) : memcmp(*a, *b, x);
	*a += x;
	*b += y;
	return r;
}

static int compare_words(const char **a, const char **b)
{
	while (is_letter(**a) && **a == **b) {
		++*a;
		++*b;
	}
	if (is_letter(**a) && is_letter(**b))
		return **a < **b ? -1 : 1;
	return is_letter(**a) - is_letter(**b);
}

static const char *skip_other(const char *s)
{
	while (is_other(*s))
		s++;
	return s;
}

/* sign if a begins with c, -sign if b does, otherwise 0. */
static int compare_mark(const char *a, const char *b, char c, int sign)
{
	return *a == c ? sign : *b == c ? -sign : 0;
}

int vercmp(const char *a, const char *b)
{
	for (;;) {
		int r;

		a = skip_other(a);
		b = skip_other(b);
		/*
		 * The rules start again. The specification goes on to the next
		 * one, which is no order: ".0a" < ".^" < ".a" = ".0a".
		 */
		if (*a && *a == *b && strchr("~-^.", *a)) {
			a++;
			b++;
			continue;
		}
		r = compare_mark(a, b, '~', -1);
		if (r == 0 && (!*a || !*b))
			return (*a != '\0') - (*b != '\0');
		if (r == 0)
			r = compare_mark(a, b, '-', -1);
		if (r == 0)
			r = compare_mark(a, b, '^', 1);
		if (r == 0)
			r = compare_mark(a, b, '.', -1);
		if (r == 0)
			r = is_digit(*a) || is_digit(*b)
				    ? compare_numbers(&a, &b)
				    : compare_words(&a, &b);
		if (r != 0)
			return r;
	}
}
