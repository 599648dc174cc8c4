/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries of the Boot Loader Specification. Their paths start at the root of
 * the partition; on partition 1 also at /boot, as that is where it would be
 * mounted, had a distribution's installer written them.
 */
#include "boot/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "base/vec.h"
#include "boot/bzimage.h"
#include "boot/lookup.h"
#include "boot/names.h"
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

static const struct tree *tree_of(const struct reading *reading)
{
	return reading->finder->trees[reading->partition - 1];
}

/* Finds the file that a path of the entry names; sets a reason if there is
 * none.
 */
static int find_path(struct reading *reading, const char *path,
		     struct lookup_file *ret, char **ret_path)
{
	const char *const roots[] = { "", "/boot" };
	size_t n = reading->partition == 1 ? 2 : 1;

	path += strspn(path, "/");
	for (size_t i = 0; i < n; i++) {
		char *whole;

		if (text_format(&whole, "%s/%s", roots[i], path) < 0)
			return -ENOMEM;
		if (!strchr(path, '\r') &&
		    lookup_file(tree_of(reading), whole, ret)) {
			*ret_path = whole;
			return 0;
		}
		free(whole);
	}
	return text_format(&reading->reason,
			   "%s: no such file on its partition", path);
}

/* Adds the entry's initrds, otherwise those found by the kernel's name. */
static int add_initrds(struct reading *reading, const struct kernel *found)
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
		r = finder_add_initrd(entry, path);
		if (r == 0)
			r = finder_use(reading->finder, reading->partition,
				       file.name);
	}
	for (size_t i = 0;
	     found && !bls->n_initrds && r == 0 && i < found->entry.n_initrds;
	     i++)
		r = finder_add_initrd(entry, strdup(found->entry.initrds[i]));
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

/* Finds a kernel among those that were found by name, which come first. */
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

/* Fills the kernel of an entry, or sets a reason. */
static int fill_kernel(struct reading *reading)
{
	struct kernel *kernel = &reading->kernel;
	struct boot_entry *entry = &kernel->entry;
	const char *version = reading->bls.version;
	const struct kernel *found;
	struct kernel_image image;
	struct lookup_file file;
	int r = find_path(reading, reading->bls.linux_path, &file,
			  &entry->path);

	if (r < 0 || reading->reason)
		return r;
	kernel->dir = file.dir;
	kernel->node = file.name;
	kernel->file = file.file;
	entry->partition = reading->partition;
	r = copy_text(&entry->file, strrchr(entry->path, '/') + 1);
	if (r < 0)
		return r;
	found = find_kernel(reading, file.name);
	if (found) {
		kernel->named = true;
		kernel->unversioned = found->unversioned;
		kernel->on_top = found->on_top;
		kernel->cmdline_size = found->cmdline_size;
		r = copy_text(&entry->name, found->entry.name);
		if (r == 0)
			r = copy_text(&kernel->embedded_version,
				      found->embedded_version);
		if (!version)
			version = found->entry.version;
	} else {
		_cleanup_free_ char *reason = NULL;

		r = reading->finder->target->read_kernel(
			tree_of(reading), kernel->file, &image, &reason,
			reading->finder->diag);
		if (r < 0)
			return r;
		kernel->embedded_version = image.version;
		kernel->cmdline_size = image.cmdline_size;
		if (reason)
			return text_format(&reading->reason, "%s: %s",
					   entry->path, reason);
	}
	if (!version)
		version = kernel->embedded_version ? kernel->embedded_version
						   : name_version(entry->file);
	if (r == 0)
		r = copy_text(&entry->version, version);
	return r < 0 ? r : add_initrds(reading, found);
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
		return text_format(&reading->reason,
				   "leads to no file on its partition");
	r = lookup_text(tree_of(reading), file, &text, &reading->reason,
			reading->finder->diag);
	if (r < 0 || reading->reason)
		return r;
	r = bls_parse(&reading->bls, id, text);
	if (r < 0)
		return r;
	unsupported = bls_unsupported(&reading->bls, reading->finder->target);
	return unsupported ? text_format(&reading->reason, "%s", unsupported)
			   : fill_kernel(reading);
}

static int read_entry(struct finder *finder, unsigned partition,
		      const char *dir_path, tree_id dir, const char *name)
{
	_cleanup_(reading_clear) struct reading reading = {
		.finder = finder,
		.partition = partition,
	};
	struct kernel *kernel = &reading.kernel;
	tree_id file = lookup(tree_of(&reading), dir, name, strlen(name),
			      LOOKUP_LINKS_GRUB);
	struct kernel *named;
	struct kernel *added;
	int r = text_format(&reading.path, "/%s/%s", dir_path, name);

	if (r == 0)
		r = read_file(&reading, file, name);
	if (r == 0 && !reading.reason) {
		r = copy_text(&kernel->entry.bls, reading.path);
		kernel->bls = reading.bls;
		reading.bls = (struct bls){ 0 };
	}
	if (r == 0 && !reading.reason)
		r = finder_add_size(&finder->size, kernel_size(kernel),
				    &reading.reason);
	if (r < 0)
		return r;
	if (reading.reason)
		return finder_reject_kernel(finder, partition, reading.path,
					    take_ptr(reading.reason));
	named = find_kernel(&reading, kernel->node);
	if (named)
		named->replaced = true;
	added = vec_push(&finder->kernels);
	if (!added)
		return -ENOMEM;
	*added = *kernel;
	*kernel = (struct kernel){ 0 };
	return 0;
}

/* If other tools write other things there, a file says so. */
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
	if (text_format(&path, "/%s/entries.srel", loader_dirs[partition - 1]) <
	    0)
		return -ENOMEM;
	if (!lookup_file(tree, path, &marker))
		return 0;
	r = lookup_text(tree, marker.file, &text, &reason, finder->diag);
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

	if (text_format(&entries, "%s/entries", path) < 0)
		return -ENOMEM;
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
			r = read_entry(finder, partition, entries, id, name);
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
