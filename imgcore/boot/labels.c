/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An entry is called "Linux VERSION", or has the title that the Boot
 * Loader Specification's entry gives; its id is gnulinux-VERSION. Of several
 * with one name all but the first have their path after it. The version is
 * first the id of kernels with a version in their names: an id shall not change
 * its meaning when a bzImage is added.
 */
#include "boot/labels.h"

#include <errno.h>
#include <string.h>

#include "base/escape.h"
#include "base/text.h"

/* An entry and one of its names. */
struct label {
	struct kernel *kernel;
	char **text;
	size_t rank;
};

/* Sets the title and the id, which others may have too. */
static int make_labels(struct kernel *kernel)
{
	struct boot_entry *entry = &kernel->entry;
	_cleanup_free_ char *version = escape_text(entry->version, ESCAPE_ALL);
	_cleanup_free_ char *file = escape_text(entry->file, ESCAPE_ALL);
	_cleanup_free_ char *name =
		entry->name ? escape_text(entry->name, ESCAPE_ALL) : NULL;
	int r = 0;

	if (!version || !file || (entry->name && !name))
		return -ENOMEM;
	if (kernel->bls.title)
		entry->title = escape_text(kernel->bls.title, ESCAPE_ALL);
	else if (name)
		r = text_format(&entry->title, "Linux %s (%s/%s)", version,
				name, file);
	else if (kernel->unversioned && kernel->named)
		r = text_format(&entry->title, "Linux %s (%s)", version, file);
	else
		r = text_format(&entry->title, "Linux %s", version);
	if (r == 0)
		r = text_format(&entry->id, "gnulinux-%s", version);
	return entry->title ? r : -ENOMEM;
}

static int compare_labels(const void *a, const void *b)
{
	const struct label *x = a;
	const struct label *y = b;
	int r = strcmp(*x->text, *y->text);

	return r ? r : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Appends the path, or the entry's, which no other has. */
static int append_path(struct label *label)
{
	const struct boot_entry *entry = &label->kernel->entry;
	_cleanup_free_ char *path =
		escape_text(entry->bls ? entry->bls : entry->path, ESCAPE_ALL);
	char *text;

	if (!path || text_format(&text, "%s (partition %u: %s)", *label->text,
				 entry->partition, path) < 0)
		return -ENOMEM;
	free(*label->text);
	*label->text = text;
	return 0;
}

static int make_unique(struct label *labels, size_t n)
{
	const struct label *first = labels;
	int r = 0;

	qsort(labels, n, sizeof(*labels), compare_labels);
	for (size_t i = 1; i < n && r == 0; i++) {
		if (strcmp(*first->text, *labels[i].text) == 0)
			r = append_path(&labels[i]);
		else
			first = &labels[i];
	}
	return r;
}

int labels_make(struct kernels *kernels)
{
	_cleanup_free_ struct label *labels = NULL;
	size_t n = kernels->count;
	int r = 0;

	if (n == 0)
		return 0;
	labels = calloc(n, sizeof(*labels));
	if (!labels)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct kernel *kernel = &kernels->items[i];

		r = make_labels(kernel);
		labels[i].kernel = kernel;
		labels[i].text = &kernel->entry.title;
		labels[i].rank = i;
	}
	if (r == 0)
		r = make_unique(labels, n);
	for (size_t i = 0; i < n; i++) {
		struct label *label = &labels[i];

		label->text = &label->kernel->entry.id;
		label->rank = (size_t)(label->kernel - kernels->items);
		if (label->kernel->unversioned || label->kernel->entry.name)
			label->rank += n;
	}
	return r < 0 ? r : make_unique(labels, n);
}
