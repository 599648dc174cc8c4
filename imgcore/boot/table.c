/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/escape.h"
#include "base/math.h"
#include "base/memstream.h"
#include "base/vec.h"
#include "boot/finder.h"
#include "imgcore/diag.h"

/* Columns: version, file, initrd. */
#define COLUMNS 3u

static const char *const heads[COLUMNS] = { "VERSION", "KERNEL",
					    "INITIAL RAM DISKS" };

struct row {
	char *cells[COLUMNS];
};

struct table {
	struct row *items;
	size_t count, size;
	size_t width[COLUMNS]; /* of the widest cell so far */
	size_t last; /* bytes of the last column, which is not padded */
};

static void table_release(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		for (unsigned c = 0; c < COLUMNS; c++)
			free(table->items[i].cells[c]);
	vec_free(table);
}

static int table_add(struct table *table, const char *const texts[COLUMNS])
{
	struct row *row = vec_push(table);
	size_t len = 0;

	for (unsigned c = 0; row && c < COLUMNS; c++) {
		row->cells[c] = escape_text(texts[c], ESCAPE_NON_UTF8);
		if (!row->cells[c])
			return -ENOMEM;
		len = strlen(row->cells[c]);
		if (len > table->width[c])
			table->width[c] = len;
	}
	table->last += len + 1;
	return row ? 0 : -ENOMEM;
}

/* Prints the first n rows. */
static void table_put(FILE *f, const struct table *table, size_t n)
{
	size_t width[COLUMNS] = { 0 };

	for (size_t i = 0; i < n; i++)
		for (unsigned c = 0; c < COLUMNS; c++)
			width[c] = max_u64(width[c],
					   strlen(table->items[i].cells[c]));
	for (size_t i = 0; i < n; i++) {
		for (unsigned c = 0; c + 1 < COLUMNS; c++)
			fprintf(f, "%-*s  ", (int)width[c],
				table->items[i].cells[c]);
		fprintf(f, "%s\n", table->items[i].cells[COLUMNS - 1]);
	}
}

/* "a, b", or "-"; NULL: out of memory. */
static char *initrds_of(const struct boot_entry *entry, size_t max)
{
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	char *text;

	if (!f)
		return NULL;
	for (size_t i = 0; i < entry->n_initrds; i++) {
		if ((size_t)ftell(f) > max / 2) {
			fprintf(f, " and %zu more", entry->n_initrds - i);
			break;
		}
		fprintf(f, "%s%s", i ? ", " : "", entry->initrds[i]);
	}
	if (entry->n_initrds == 0)
		fputc('-', f);
	return memstream_close(&stream, &text, NULL) < 0 ? NULL : text;
}

static int put_kernels(FILE *f, const struct boot_kernels *kernels, size_t max)
{
	_cleanup_(table_release) struct table table = { 0 };
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);
	int r = table_add(&table, heads);
	size_t length = 0;
	size_t i;

	if (n == 0) {
		fputs("No kernel in kernels/ or boot/.\n", f);
		return 0;
	}
	for (i = 0; i < n && r == 0; i++) {
		_cleanup_free_ char *initrds = initrds_of(&entries[i], max);
		const char *const texts[COLUMNS] = { entries[i].version,
						     entries[i].path, initrds };

		r = initrds ? table_add(&table, texts) : -ENOMEM;
		length = table.last;
		for (unsigned c = 0; c + 1 < COLUMNS; c++)
			length += table.count * (table.width[c] + 2);
		if (length > max)
			break;
	}
	if (r < 0)
		return r;
	table_put(f, &table, i + 1);
	if (i < n)
		fprintf(f, "and %zu more\n", n - i);
	return 0;
}

static int put_rejects(FILE *f, const struct boot_kernels *kernels, size_t max)
{
	const struct boot_reject *rejects;
	size_t n = boot_rejects(kernels, &rejects);
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		const struct diag diag = { .path = rejects[i].path,
					   .reason =
						   (char *)rejects[i].reason };
		_cleanup_free_ char *line = diag_format(&diag, 0);

		if (!line)
			return -ENOMEM;
		length += strlen(line) + 1;
		if (length > max) {
			fprintf(f, "and %zu more\n", n - i);
			break;
		}
		fprintf(f, "%s%s\n", i == 0 ? "\nNot in the menu:\n" : "",
			line);
	}
	return 0;
}

int boot_kernels_table(const struct boot_kernels *kernels, size_t max,
		       char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	int closed;
	int r;

	if (!f)
		return -ENOMEM;
	r = put_kernels(f, kernels, max);
	if (r == 0)
		r = put_rejects(f, kernels, max);
	closed = memstream_close(&stream, &text, NULL);
	if (r == 0)
		r = closed;
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}
