/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/bls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/math.h"
#include "imgcore/target.h"

static const char blank[] = " \t";

/* ---- versions ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Characters without a meaning. */
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

int bls_compare_versions(const char *a, const char *b)
{
	for (;;) {
		int r;

		while (is_other(*a))
			a++;
		while (is_other(*b))
			b++;
		/*
		 * The rules start again. The specification goes on to the next
		 * one, which is no order: ".0a" < ".^" < ".a" = ".0a".
		 */
		if (*a && *a == *b && strchr("~-^.", *a)) {
			a++;
			b++;
			continue;
		}
		r = (*b == '~') - (*a == '~');
		if (r == 0 && (!*a || !*b))
			return (*a != '\0') - (*b != '\0');
		if (r == 0)
			r = (*b == '-') - (*a == '-');
		if (r == 0)
			r = (*a == '^') - (*b == '^');
		if (r == 0)
			r = (*b == '.') - (*a == '.');
		if (r == 0)
			r = is_digit(*a) || is_digit(*b)
				    ? compare_numbers(&a, &b)
				    : compare_words(&a, &b);
		if (r != 0)
			return r;
	}
}

/* ---- reading ---- */

static int set_value(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* `room`: bytes of all lines that are left, so that one allocation suffices. */
static int add_options(struct bls *bls, size_t *options_len, const char *value,
		       size_t room)
{
	if (!bls->options) {
		bls->options = malloc(room + 1);
		if (!bls->options)
			return -ENOMEM;
	} else {
		bls->options[(*options_len)++] = ' ';
	}
	strcpy(bls->options + *options_len, value);
	*options_len += strlen(value);
	return 0;
}

static int add_initrd(struct bls *bls, const char *value)
{
	char **initrds;

	if (bls->n_initrds > BLS_INITRDS_MAX)
		return 0;
	initrds = reallocarray(bls->initrds, bls->n_initrds + 1,
			       sizeof(*initrds));
	if (!initrds)
		return -ENOMEM;
	bls->initrds = initrds;
	initrds[bls->n_initrds] = strdup(value);
	return initrds[bls->n_initrds++] ? 0 : -ENOMEM;
}

static int set_key(struct bls *bls, const char *key, const char *value)
{
	const struct {
		const char *key;
		char **field;
	} fields[] = {
		{ "title", &bls->title },
		{ "version", &bls->version },
		{ "machine-id", &bls->machine_id },
		{ "sort-key", &bls->sort_key },
		{ "linux", &bls->linux_path },
		{ "architecture", &bls->architecture },
	};

	if (!*value)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcmp(key, fields[i].key) == 0)
			return set_value(fields[i].field, value);
	if (strcmp(key, "initrd") == 0)
		return add_initrd(bls, value);
	if (strcmp(key, "efi") == 0 || strcmp(key, "uki") == 0)
		bls->efi = true;
	return 0;
}

int bls_parse(struct bls *bls, const char *id, char *text)
{
	const char *end = text + strlen(text);
	size_t options_len = 0;
	int r = set_value(&bls->id, id);

	while (text && r == 0) {
		char *line = strsep(&text, "\n");
		char *key;

		/* DOS ends a line with a carriage return. */
		for (size_t n = strlen(line);
		     n && strchr(" \t\r", line[n - 1]);)
			line[--n] = '\0';
		line += strspn(line, blank);
		if (!*line || *line == '#')
			continue;
		key = line;
		line += strcspn(line, blank);
		if (*line)
			*line++ = '\0';
		line += strspn(line, blank);
		if (*line && strcmp(key, "options") == 0)
			r = add_options(bls, &options_len, line,
					(size_t)(end - line));
		else
			r = set_key(bls, key, line);
	}
	return r;
}

void bls_clear(struct bls *bls)
{
	free(bls->id);
	free(bls->title);
	free(bls->version);
	free(bls->machine_id);
	free(bls->sort_key);
	free(bls->linux_path);
	free(bls->options);
	free(bls->architecture);
	for (size_t i = 0; i < bls->n_initrds; i++)
		free(bls->initrds[i]);
	free(bls->initrds);
	*bls = (struct bls){ 0 };
}

/* ---- checks and order ---- */

#define KEY_LIMIT     DECIMAL(BLS_KEY_MAX)
#define VALUE_LIMIT   DECIMAL(BLS_VALUE_MAX)
#define INITRDS_LIMIT DECIMAL(BLS_INITRDS_MAX)

static bool is_native(const char *architecture,
		      const struct boot_target *target)
{
	for (const char *const *a = target->architectures; *a; a++)
		if (architecture && strcasecmp(architecture, *a) == 0)
			return true;
	return !architecture;
}

static bool is_longer(const char *value, size_t most)
{
	return value && strlen(value) > most;
}

const char *bls_unsupported(const struct bls *bls,
			    const struct boot_target *target)
{
	if (is_longer(bls->version, BLS_KEY_MAX) ||
	    is_longer(bls->sort_key, BLS_KEY_MAX) ||
	    is_longer(bls->machine_id, BLS_KEY_MAX))
		return "has a version, sort-key or machine-id of more than " KEY_LIMIT
		       " bytes";
	if (bls->n_initrds > BLS_INITRDS_MAX)
		return "has more than " INITRDS_LIMIT " lines \"initrd\"";
	for (size_t i = 0; i < bls->n_initrds; i++)
		if (is_longer(bls->initrds[i], BLS_VALUE_MAX))
			return "has an initrd of more than " VALUE_LIMIT
			       " bytes";
	if (is_longer(bls->title, BLS_VALUE_MAX) ||
	    is_longer(bls->linux_path, BLS_VALUE_MAX))
		return "has a title or linux of more than " VALUE_LIMIT
		       " bytes";
	if (!is_native(bls->architecture, target))
		return "is for another architecture";
	if (bls->linux_path)
		return NULL;
	return bls->efi ? "is for EFI, which this disk has nothing of; give "
			  "it a line \"linux\""
			: "has no line \"linux\"";
}

/* NAME+LEFT and NAME+LEFT-DONE */
bool bls_is_bad(const struct bls *bls)
{
	const char *plus = strrchr(bls->id, '+');
	size_t zeros = plus ? strspn(plus + 1, "0") : 0;
	const char *done = plus ? plus + 1 + zeros : "";
	size_t digits;

	if (zeros == 0)
		return false;
	if (*done == '\0')
		return true;
	digits = strspn(done + 1, "0123456789");
	return *done == '-' && digits && done[1 + digits] == '\0';
}

int bls_compare(const struct bls *a, const struct bls *b)
{
	int r = bls_is_bad(a) - bls_is_bad(b);

	if (r == 0)
		r = !a->sort_key - !b->sort_key;
	if (r == 0 && a->sort_key) {
		r = strcmp(a->sort_key, b->sort_key);
		if (r == 0)
			r = strcmp(a->machine_id ? a->machine_id : "",
				   b->machine_id ? b->machine_id : "");
		if (r == 0)
			r = bls_compare_versions(b->version ? b->version : "",
						 a->version ? a->version : "");
	}
	return r ? r : bls_compare_versions(b->id, a->id);
}
