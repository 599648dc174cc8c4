/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A version is compared in this order, until something differs:
 *
 *     1. its number, the dotted digits it starts with; 6.9 is 6.9.0 here
 *     2. a pre-release is below what is none
 *     3. what follows the number: digits by value, text by its bytes, the
 *        separator before a pre-release's word below the end of the other
 *     4. all of it in the same manner, which puts 6.9 and 6.9.0 in an order
 *     5. `.old`
 *     6. its bytes
 *
 * Each step is an order of its own on a part of the string, so the whole is one
 * as well. The second step is not in `sort -V`: 6.9.0-0.rc3.fc41 is
 * below 6.9.0.
 */
#include "boot/version.h"

#include <string.h>

#include "base/math.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct span {
	const char *at;
	const char *end;
};

static bool span_more(const struct span *s)
{
	return s->at < s->end;
}

/* The words of a pre-release; a number or a separator may follow. */
static bool is_pre_word(const char *at, const char *end)
{
	static const char *const words[] = { "rc", "pre", "test", "git" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(end - at) < len || memcmp(at, words[i], len) != 0)
			continue;
		if (at + len == end || !is_letter(at[len]))
			return true;
	}
	return false;
}

/* Whether a separator, or the end of a number, is before such a word. */
static bool is_pre_separator(const struct span *s)
{
	return (*s->at == '-' || *s->at == '.' || *s->at == '_') &&
	       is_pre_word(s->at + 1, s->end);
}

/* Whether a pre-release's word follows the number: 6.9-rc1, 6.9rc1. */
static bool rest_is_pre(struct span rest)
{
	bool pre = is_pre_word(rest.at, rest.end);

	for (; !pre && span_more(&rest); rest.at++)
		pre = is_pre_separator(&rest);
	return pre;
}

/* Takes the digits at s, without leading zeroes. */
static struct span take_number(struct span *s)
{
	struct span number;

	while (span_more(s) && *s->at == '0')
		s->at++;
	number.at = s->at;
	while (span_more(s) && is_digit(*s->at))
		s->at++;
	number.end = s->at;
	return number;
}

static int compare_numbers(struct span *a, struct span *b)
{
	struct span x = take_number(a);
	struct span y = take_number(b);

	if (x.end - x.at != y.end - y.at)
		return x.end - x.at < y.end - y.at ? -1 : 1;
	return memcmp(x.at, y.at, (size_t)(x.end - x.at));
}

/* Takes the dotted number at the start of s. */
static struct span take_dotted(struct span *s)
{
	struct span dotted = { s->at, s->at };

	while (span_more(s) && is_digit(*s->at)) {
		while (span_more(s) && is_digit(*s->at))
			s->at++;
		dotted.end = s->at;
		if (s->end - s->at < 2 || *s->at != '.' || !is_digit(s->at[1]))
			break;
		s->at++;
	}
	return dotted;
}

/* A missing part counts as 0; no number at all is above every number. */
static int compare_dotted(struct span a, struct span b)
{
	if (span_more(&a) != span_more(&b))
		return span_more(&a) ? -1 : 1;
	while (span_more(&a) || span_more(&b)) {
		int r = compare_numbers(&a, &b);

		if (r != 0)
			return r;
		a.at += span_more(&a);
		b.at += span_more(&b);
	}
	return 0;
}

/* A pre-release's separator, then the end, digits, letters, all else. */
static int weight(const struct span *s)
{
	if (!span_more(s))
		return 0;
	if (is_pre_separator(s))
		return -1;
	if (is_digit(*s->at))
		return 1;
	return (unsigned char)*s->at + (is_letter(*s->at) ? 2 : 258);
}

static int compare_text(struct span a, struct span b)
{
	while (span_more(&a) || span_more(&b)) {
		int x = weight(&a);
		int y = weight(&b);
		int r;

		if (x != y)
			return x < y ? -1 : 1;
		if (is_digit(*a.at)) {
			r = compare_numbers(&a, &b);
			if (r != 0)
				return r;
			continue;
		}
		a.at++;
		b.at++;
	}
	return 0;
}

size_t version_stem_len(const char *version)
{
	size_t len = strlen(version);

	if (len > 4 && memcmp(version + len - 4, ".old", 4) == 0)
		return len - 4;
	return len;
}

int version_compare(const char *a, const char *b)
{
	size_t a_len = version_stem_len(a);
	size_t b_len = version_stem_len(b);
	struct span a_all = { a, a + a_len };
	struct span b_all = { b, b + b_len };
	struct span a_rest = a_all;
	struct span b_rest = b_all;
	struct span a_dotted = take_dotted(&a_rest);
	struct span b_dotted = take_dotted(&b_rest);
	int r = compare_dotted(a_dotted, b_dotted);

	if (r == 0)
		r = rest_is_pre(b_rest) - rest_is_pre(a_rest);
	if (r == 0)
		r = compare_text(a_rest, b_rest);
	if (r == 0)
		r = compare_text(a_all, b_all);
	if (r == 0)
		r = (a[a_len] == '\0') - (b[b_len] == '\0');
	return r ? r : strcmp(a, b);
}
