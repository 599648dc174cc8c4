/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/vec.h"
#include "boot/kernels.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"

/* Columns: version, file, initrd. */
#define COLUMNS 3u

static const char *const heads[COLUMNS] = { "VERSION", "KERNEL",
					    "INITIAL RAM DISK" };

struct row {
	char *cells[COLUMNS];
};

struct table {
	struct row *items;
	size_t count, size;
};

static void table_release(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		for (unsigned c = 0; c < COLUMNS; c++)
			free(table->items[i].cells[c]);
	vec_free(table);
}

/* Fit for a terminal; "-": there is none. */
static char *cell(const char *text)
{
	const struct diag diag = { .reason = (char *)(text ? text : "-") };

	return diag_format(&diag, 0);
}

static int table_add(struct table *table, const char *const texts[COLUMNS])
{
	struct row *row = vec_push(table);

	for (unsigned c = 0; row && c < COLUMNS; c++) {
		row->cells[c] = cell(texts[c]);
		if (!row->cells[c])
			return -ENOMEM;
	}
	return row ? 0 : -ENOMEM;
}

static void table_put(FILE *f, const struct table *table)
{
	size_t width[COLUMNS] = { 0 };

	for (size_t i = 0; i < table->count; i++)
		for (unsigned c = 0; c < COLUMNS; c++) {
			size_t len = strlen(table->items[i].cells[c]);

			width[c] = len > width[c] ? len : width[c];
		}
	for (size_t i = 0; i < table->count; i++) {
		for (unsigned c = 0; c + 1 < COLUMNS; c++)
			fprintf(f, "%-*s  ", (int)width[c],
				table->items[i].cells[c]);
		fprintf(f, "%s\n", table->items[i].cells[COLUMNS - 1]);
	}
}

static int put_kernels(FILE *f, const struct kernels *kernels)
{
	_cleanup_(table_release) struct table table = { 0 };
	int r = table_add(&table, heads);

	if (kernels->count == 0) {
		fputs("No kernel in kernels/ or boot/.\n", f);
		return 0;
	}
	for (size_t i = 0; i < kernels->count && r == 0; i++) {
		const struct kernel *k = &kernels->items[i];
		const char *const texts[COLUMNS] = { k->version, k->path,
						     k->initrd };

		r = table_add(&table, texts);
	}
	if (r == 0)
		table_put(f, &table);
	return r;
}

/* An initrd that goes with a kernel stands there. */
static bool is_initrd(const struct kernels *kernels, const char *path)
{
	for (size_t i = 0; i < kernels->count; i++)
		if (kernels->items[i].initrd &&
		    strcmp(kernels->items[i].initrd, path) == 0)
			return true;
	return false;
}

static int put_others(FILE *f, const struct kernels *kernels)
{
	bool first = true;

	for (size_t i = 0; i < kernels->others.count; i++) {
		const struct no_kernel *other = &kernels->others.items[i];
		const struct diag diag = { .path = other->path,
					   .reason = (char *)other->reason };
		_cleanup_free_ char *line = NULL;

		if (is_initrd(kernels, other->path))
			continue;
		line = diag_format(&diag, 0);
		if (!line)
			return -ENOMEM;
		fprintf(f, "%s%s\n", first ? "\nNot in the menu:\n" : "", line);
		first = false;
	}
	return 0;
}

int boot_kernels(const struct tree *boot_tree, const struct tree *system_tree,
		 char **ret_text)
{
	_cleanup_kernels_ struct kernels kernels = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f;
	int r = kernels_find(&kernels, boot_tree, "boot", 1);

	if (r == 0)
		r = kernels_find(&kernels, system_tree, "kernels", 2);
	if (r < 0)
		return r;
	kernels_sort(&kernels);
	f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	r = put_kernels(f, &kernels);
	if (r == 0)
		r = put_others(f, &kernels);
	if (fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		*ret_text = text;
	else
		free(text);
	return r;
}
