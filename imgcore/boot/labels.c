/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An entry is called "Linux VERSION", or what a Boot Loader Specification's
 * says, and its id is gnulinux-VERSION. Of several of one name all but the
 * first have their path behind it, which is theirs alone. Kernels whose names
 * say their version are first in having it as their id: it is not to change its
 * meaning when somebody tries a bzImage.
 */
#include "boot/labels.h"

#include <errno.h>
#include <string.h>

#include "base/quote.h"

/* An entry and one of its names. */
struct label {
	struct kernel *kernel;
	char **text;
	size_t rank;
};

static char *default_title(const struct kernel *kernel, const char *version)
{
	const struct boot_entry *entry = &kernel->entry;
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *file = quote_shown(entry->file);
	char *title;
	int n;

	if (!file)
		return NULL;
	if (entry->name) {
		name = quote_shown(entry->name);
		if (!name)
			return NULL;
		n = asprintf(&title, "Linux %s (%s/%s)", version, name, file);
	} else if (kernel->unversioned && kernel->named) {
		n = asprintf(&title, "Linux %s (%s)", version, file);
	} else {
		n = asprintf(&title, "Linux %s", version);
	}
	return n < 0 ? NULL : title;
}

static int make_labels(struct kernel *kernel)
{
	struct boot_entry *entry = &kernel->entry;
	_cleanup_free_ char *version = quote_shown(entry->version);

	if (!version)
		return -ENOMEM;
	entry->title = kernel->bls.title ? quote_shown(kernel->bls.title)
					 : default_title(kernel, version);
	if (asprintf(&entry->id, "gnulinux-%s", version) < 0)
		entry->id = NULL;
	return entry->title && entry->id ? 0 : -ENOMEM;
}

static int compare_labels(const void *a, const void *b)
{
	const struct label *x = a;
	const struct label *y = b;
	int r = strcmp(*x->text, *y->text);

	return r ? r : (x->rank > y->rank) - (x->rank < y->rank);
}

/* The path, and the entry where there may be several for one. */
static int append_place(struct label *label)
{
	const struct boot_entry *entry = &label->kernel->entry;
	_cleanup_free_ char *path = quote_shown(entry->bls ? entry->bls
							   : entry->path);
	char *text;

	if (!path || asprintf(&text, "%s (partition %u: %s)", *label->text,
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
			r = append_place(&labels[i]);
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
