/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries of the Boot Loader Specification. Their paths start at the root of
 * the partition; on partition 1 also at /boot, as that is where it would be
 * mounted, had a distribution's installer written them.
 */
#include "boot/entries.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/vec.h"
#include "boot/bzimage.h"
#include "boot/lookup.h"
#include "boot/names.h"
#include "boot/text.h"
#include "imgcore/paths.h"

static const char *const loader_dirs[2] = { PATH_BOOT "/loader", "loader" };

/* One entry on its way; reason: why it goes no further. */
struct reading {
	struct finder *finder;
	unsigned partition;
	char *path; /* of its file */
	struct bls bls;
	struct kernel kernel;
	char *reason;
};

static void reading_clear(struct reading *reading)
{
	free(reading->path);
	free(reading->reason);
	bls_clear(&reading->bls);
	kernel_clear(&reading->kernel);
}

__attribute__((format(printf, 2, 3))) static int stop(struct reading *reading,
						      const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&reading->reason, format, args);
	va_end(args);
	if (n >= 0)
		return 0;
	reading->reason = NULL;
	return -ENOMEM;
}

static const struct tree *tree_of(const struct reading *reading)
{
	return reading->finder->trees[reading->partition - 1];
}

/* The file that a path of the entry means; *ret_path is NULL if there is none.
 */
static int find_path(struct reading *reading, const char *path,
		     struct lookup_file *ret, char **ret_path)
{
	const char *const roots[] = { "", "/boot" };
	size_t n = reading->partition == 1 ? 2 : 1;

	path += strspn(path, "/");
	for (size_t i = 0; i < n; i++) {
		char *whole;

		if (asprintf(&whole, "%s/%s", roots[i], path) < 0)
			return -ENOMEM;
		if (!strchr(path, '\r') &&
		    lookup_file(tree_of(reading), whole, ret)) {
			*ret_path = whole;
			return 0;
		}
		free(whole);
	}
	return stop(reading, "%s: no such file on its partition", path);
}

/* Of its entry, or else those that go with the kernel's name. */
static int take_initrds(struct reading *reading, const struct kernel *found)
{
	const struct bls *bls = &reading->bls;
	struct boot_entry *entry = &reading->kernel.entry;
	int r = 0;

	for (size_t i = 0; i < bls->n_initrds && r == 0; i++) {
		struct lookup_file file;
		char *path = NULL;

		r = find_path(reading, bls->initrds[i], &file, &path);
		if (r < 0 || reading->reason)
			return r;
		r = entry_add_initrd(entry, path);
		if (r == 0)
			r = finder_use(reading->finder, reading->partition,
				       file.name);
	}
	for (size_t i = 0;
	     found && !bls->n_initrds && r == 0 && i < found->entry.n_initrds;
	     i++)
		r = entry_add_initrd(entry, strdup(found->entry.initrds[i]));
	return r;
}

static int compare_places(const void *a, const void *b)
{
	const struct kernel *x = a;
	const struct kernel *y = b;

	if (x->entry.partition != y->entry.partition)
		return x->entry.partition < y->entry.partition ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

/* Searches the kernels that were found by name, which come first. */
static struct kernel *find_kernel(const struct reading *reading, tree_id node)
{
	const struct finder *finder = reading->finder;
	const struct kernel key = {
		.entry.partition = reading->partition,
		.node = node,
	};

	if (finder->n_named == 0)
		return NULL;
	return bsearch(&key, finder->kernels.items, finder->n_named,
		       sizeof(key), compare_places);
}

static int copy_text(char **ret, const char *text)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* What discovery knows of the kernel. */
static int copy_found(struct kernel *kernel, const struct kernel *found)
{
	int r = copy_text(&kernel->entry.name, found->entry.name);

	kernel->found = true;
	kernel->bare = found->bare;
	kernel->tried = found->tried;
	kernel->cmdline_size = found->cmdline_size;
	if (r == 0)
		r = copy_text(&kernel->inside, found->inside);
	return r;
}

static int check_kernel(struct reading *reading)
{
	struct kernel *kernel = &reading->kernel;
	_cleanup_free_ char *reason = NULL;
	struct kernel_image image;
	int r = reading->finder->target->read_kernel(
		tree_of(reading), kernel->file, &image, &reason,
		reading->finder->diag);

	if (r < 0)
		return r;
	kernel->inside = image.version;
	kernel->cmdline_size = image.cmdline_size;
	return reason ? stop(reading, "%s: %s", kernel->entry.path, reason) : 0;
}

static int take_version(struct reading *reading, const struct kernel *found)
{
	struct kernel *kernel = &reading->kernel;
	const char *version = reading->bls.version;

	if (!version && found)
		version = found->entry.version;
	if (!version)
		version = kernel->inside ? kernel->inside
					 : name_version(kernel->entry.file);
	return copy_text(&kernel->entry.version, version);
}

/* The kernel of an entry, checked. */
static int take_kernel(struct reading *reading)
{
	struct kernel *kernel = &reading->kernel;
	struct boot_entry *entry = &kernel->entry;
	const struct kernel *found;
	struct lookup_file file;
	int r = find_path(reading, reading->bls.linux_path, &file,
			  &entry->path);

	if (r < 0 || reading->reason)
		return r;
	kernel->dir = file.dir;
	kernel->node = file.name;
	kernel->file = file.file;
	entry->partition = reading->partition;
	found = find_kernel(reading, file.name);
	r = copy_text(&entry->file, strrchr(entry->path, '/') + 1);
	if (r == 0)
		r = found ? copy_found(kernel, found) : check_kernel(reading);
	if (r == 0 && !reading->reason)
		r = take_version(reading, found);
	if (r == 0 && !reading->reason)
		r = take_initrds(reading, found);
	return r;
}

static void replace_found(struct reading *reading)
{
	struct kernel *found = find_kernel(reading, reading->kernel.node);

	if (found)
		found->replaced = true;
}

static int keep(struct reading *reading)
{
	struct kernel *kernel = &reading->kernel;
	struct kernel *kept;

	replace_found(reading);
	kept = vec_push(&reading->finder->kernels);
	if (!kept)
		return -ENOMEM;
	*kept = *kernel;
	*kernel = (struct kernel){ 0 };
	return 0;
}

/* Moves what the entry says to its kernel. */
static int complete(struct reading *reading)
{
	struct kernel *kernel = &reading->kernel;
	int r = copy_text(&kernel->entry.bls, reading->path);

	if (r < 0)
		return r;
	kernel->bls = reading->bls;
	reading->bls = (struct bls){ 0 };
	return finder_take(&reading->finder->taken, kernel_size(kernel),
			   &reading->reason);
}

static int read_file(struct reading *reading, tree_id file, const char *name)
{
	_cleanup_free_ char *id = strndup(name, strlen(name) - strlen(".conf"));
	_cleanup_free_ char *text = NULL;
	const char *unsupported;
	int r;

	if (!id)
		return -ENOMEM;
	if (!lookup_is_file(tree_of(reading), file))
		return stop(reading, "leads to no file on its partition");
	r = text_read(tree_of(reading), file, &text, &reading->reason,
		      reading->finder->diag);
	if (r < 0 || reading->reason)
		return r;
	r = bls_parse(&reading->bls, id, text);
	if (r < 0)
		return r;
	unsupported = bls_unsupported(&reading->bls, reading->finder->target);
	return unsupported ? stop(reading, "%s", unsupported)
			   : take_kernel(reading);
}

static int read_entry(struct finder *finder, unsigned partition,
		      const char *dir_path, tree_id dir, const char *name)
{
	_cleanup_(reading_clear) struct reading reading = {
		.finder = finder,
		.partition = partition,
	};
	tree_id file = lookup(tree_of(&reading), dir, name, strlen(name),
			      LOOKUP_LINKS_GRUB);
	int r;

	if (asprintf(&reading.path, "/%s/entries/%s", dir_path, name) < 0) {
		reading.path = NULL;
		return -ENOMEM;
	}
	r = read_file(&reading, file, name);
	if (r == 0 && !reading.reason)
		r = complete(&reading);
	if (r < 0)
		return r;
	if (!reading.reason)
		return keep(&reading);
	return finder_reject_kernel(finder, partition, reading.path,
				    take_ptr(reading.reason));
}

/* Other tools write other things there; then a file says so. */
static int check_marker(struct finder *finder, unsigned partition,
			bool *ret_foreign)
{
	const struct tree *tree = finder->trees[partition - 1];
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *reason = NULL;
	struct lookup_file marker;
	int r;

	*ret_foreign = false;
	if (asprintf(&path, "/%s/entries.srel", loader_dirs[partition - 1]) <
	    0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!lookup_file(tree, path, &marker))
		return 0;
	r = text_read(tree, marker.file, &text, &reason, finder->diag);
	if (r < 0)
		return r;
	*ret_foreign = !text || strcmp(text, "type1\n") != 0;
	if (!*ret_foreign)
		return 0;
	return finder_reject(finder, partition, path,
			     "says that loader/entries/ is not of type 1",
			     false);
}

static int find_in(struct finder *finder, unsigned partition)
{
	const struct tree *tree = finder->trees[partition - 1];
	const char *path = loader_dirs[partition - 1];
	_cleanup_free_ char *entries = NULL;
	struct tree_info dir;
	bool foreign;
	tree_id id;
	int r;

	if (asprintf(&entries, "%s/entries", path) < 0) {
		entries = NULL;
		return -ENOMEM;
	}
	id = lookup(tree, TREE_ROOT, entries, strlen(entries),
		    LOOKUP_LINKS_GRUB);
	if (!lookup_is_dir(tree, id))
		return 0;
	r = check_marker(finder, partition, &foreign);
	if (r < 0 || foreign)
		return r;
	tree_get(tree, id, &dir);
	for (uint32_t i = 0; i < dir.n_children && r == 0; i++) {
		_cleanup_free_ char *name = NULL;
		struct tree_info info;

		tree_get(tree, dir.first_child + i, &info);
		name = strndup(info.name, info.name_len);
		if (!name)
			return -ENOMEM;
		if (strlen(name) > strlen(".conf") && name_ends(name, ".conf"))
			r = read_entry(finder, partition, path, id, name);
	}
	return r;
}

int entries_find(struct finder *finder)
{
	struct kernels *kernels = &finder->kernels;
	int r;

	finder->n_named = kernels->count;
	if (kernels->count > 0)
		qsort(kernels->items, kernels->count, sizeof(*kernels->items),
		      compare_places);
	r = find_in(finder, 1);
	return r < 0 ? r : find_in(finder, 2);
}
