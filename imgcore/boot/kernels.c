/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/kernels.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/vec.h"
#include "boot/bzimage.h"
#include "boot/initrds.h"
#include "boot/lookup.h"
#include "boot/names.h"
#include "imgcore/paths.h"

static const char boot_dir[] = PATH_BOOT;
static const char kernels_dir[] = PATH_KERNELS;
static const char unspeakable[] =
	"has a carriage return in its name, which GRUB cannot be told";

/* ---- one file ---- */

static int reject_name(struct finder *finder, const struct place *place,
		       const char *name, const char *reason, bool is_kernel)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "/%s/%s", place->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return finder_reject(finder, place->partition, path, reason, is_kernel);
}

/* A command line is a kernel's even if it is not used. */
static int use_cmdline(struct finder *finder, const struct kernel *kernel)
{
	unsigned partition = kernel->entry.partition;
	tree_id node;
	int r = kernel_find_cmdline(finder, kernel, &node);

	if (r < 0 || node == TREE_NONE)
		return r;
	return finder_use(finder, partition, node);
}

/* What its name and its place say. */
static int kernel_name(struct kernel *kernel, const struct place *place,
		       const char *name)
{
	struct boot_entry *entry = &kernel->entry;

	kernel->bare = name_is_bare(name);
	kernel->tried = kernel->bare && place->partition == 2 && !place->name;
	kernel->found = true;
	entry->partition = place->partition;
	entry->file = strdup(name);
	if (asprintf(&entry->path, "/%s/%s", place->path, name) < 0)
		entry->path = NULL;
	if (!entry->file || !entry->path)
		return -ENOMEM;
	if (!place->name)
		return 0;
	entry->name = strdup(place->name);
	return entry->name ? 0 : -ENOMEM;
}

/* What the file says; a reason, if it is no kernel. */
static int kernel_read(struct finder *finder, struct kernel *kernel,
		       char **ret_reason)
{
	struct boot_entry *entry = &kernel->entry;
	const struct tree *tree = finder->trees[entry->partition - 1];
	const char *version;
	struct kernel_image image;
	int r = finder->target->read_kernel(tree, kernel->file, &image,
					    ret_reason, finder->diag);

	if (r < 0)
		return r;
	kernel->inside = image.version;
	kernel->cmdline_size = image.cmdline_size;
	version = kernel->bare && image.version ? image.version
						: name_version(entry->file);
	entry->version = strdup(version);
	return entry->version ? 0 : -ENOMEM;
}

/* Its initrds are its own even if it cannot boot. */
static int fill_kernel(struct finder *finder, const struct place *place,
		       const char *name, struct kernel *kernel,
		       char **ret_reason)
{
	int r = kernel_name(kernel, place, name);

	if (r == 0)
		r = use_cmdline(finder, kernel);
	if (r == 0)
		r = kernel_read(finder, kernel, ret_reason);
	return r < 0 ? r : initrds_find(finder, place, kernel);
}

static int add_kernel(struct finder *finder, const struct place *place,
		      const char *name, tree_id node)
{
	const struct tree *tree = finder->trees[place->partition - 1];
	_cleanup_(kernel_clear) struct kernel kernel = {
		.dir = place->dir,
		.node = node,
		.file = lookup(tree, place->dir, name, strlen(name),
			       LOOKUP_LINKS_GRUB),
	};
	char *reason = NULL;
	struct kernel *kept;
	int r;

	if (!lookup_is_file(tree, kernel.file))
		return reject_name(finder, place, name,
				   "leads to no file on its partition", true);
	r = fill_kernel(finder, place, name, &kernel, &reason);
	if (r == 0 && !reason && kernel.too_many_initrds &&
	    asprintf(&reason,
		     "has more than %u initrds in its directory; name the one "
		     "that goes with it",
		     INITRDS_MAX) < 0) {
		reason = NULL;
		r = -ENOMEM;
	}
	if (r == 0 && !reason)
		r = finder_take(&finder->taken, kernel_size(&kernel), &reason);
	if (r < 0) {
		free(reason);
		return r;
	}
	if (reason)
		return finder_reject_kernel(finder, place->partition,
					    kernel.entry.path, reason);
	kept = vec_push(&finder->kernels);
	if (!kept)
		return -ENOMEM;
	*kept = kernel;
	kernel = (struct kernel){ 0 };
	return 0;
}

static int reject_other(struct finder *finder, const struct place *place,
			const char *name)
{
	return reject_name(finder, place, name,
			   "has no kernel's name: vmlinuz-*, kernel-*, "
			   "vmlinuz, bzImage",
			   false);
}

/* Users know it for a kernel: it says what it is. */
static int reject_vmlinux(struct finder *finder, const struct place *place,
			  const char *name)
{
	const struct tree *tree = finder->trees[place->partition - 1];
	tree_id file = lookup(tree, place->dir, name, strlen(name),
			      LOOKUP_LINKS_GRUB);
	_cleanup_free_ char *path = NULL;
	struct kernel_image image = { 0 };
	char *reason;
	int r;

	if (!lookup_is_file(tree, file))
		return reject_other(finder, place, name);
	if (asprintf(&path, "/%s/%s", place->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = finder->target->read_kernel(tree, file, &image, &reason,
					finder->diag);
	free(image.version);
	if (r < 0)
		return r;
	return reason ? finder_reject_kernel(finder, place->partition, path,
					     reason)
		      : reject_other(finder, place, name);
}

static int add_name(struct finder *finder, const struct place *place,
		    const char *name, tree_id node)
{
	switch (name_kind(name, place->name != NULL)) {
	case NAME_KERNEL:
		return add_kernel(finder, place, name, node);
	case NAME_UNSPEAKABLE:
		return reject_name(finder, place, name, unspeakable, true);
	case NAME_LEFT_OVER:
		return reject_name(finder, place, name,
				   "is what packages leave beside kernels, by "
				   "its name",
				   false);
	case NAME_OTHER:
		return place->name ? 0 : reject_other(finder, place, name);
	case NAME_VMLINUX:
		return reject_vmlinux(finder, place, name);
	case NAME_CMDLINE:
	case NAME_INITRD:
	case NAME_MODULES:
		break;
	}
	return 0;
}

/* ---- directories ---- */

typedef int visit_fn(struct finder *finder, const struct place *place,
		     const char *name, tree_id node);

/* Calls visit with each entry of the place that is no directory. */
static int visit_files(struct finder *finder, const struct place *place,
		       visit_fn *visit)
{
	const struct tree *tree = finder->trees[place->partition - 1];
	struct tree_info dir;
	int r = 0;

	tree_get(tree, place->dir, &dir);
	for (uint32_t i = 0; i < dir.n_children && r == 0; i++) {
		tree_id node = dir.first_child + i;
		_cleanup_free_ char *name = NULL;
		struct tree_info info;

		tree_get(tree, node, &info);
		if (S_ISDIR(info.attr.mode))
			continue;
		name = strndup(info.name, info.name_len);
		if (!name)
			return -ENOMEM;
		r = visit(finder, place, name, node);
	}
	return r;
}

/* kernels/NAME/ */
static int visit_below(struct finder *finder, const struct place *place,
		       tree_id node, visit_fn *visit)
{
	const struct tree *tree = finder->trees[place->partition - 1];
	_cleanup_free_ char *path = NULL;
	struct place below = *place;
	struct tree_info info;

	tree_get(tree, node, &info);
	if (!S_ISDIR(info.attr.mode) || info.reserved ||
	    boot_is_archive(info.name, info.name_len))
		return 0;
	if (asprintf(&path, "%s/%.*s", place->path, (int)info.name_len,
		     info.name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	below.path = path;
	below.name = strrchr(path, '/') + 1;
	below.dir = node;
	if (strchr(path, '\r'))
		return visit == add_name
			       ? reject_name(finder, place, below.name,
					     unspeakable, true)
			       : 0;
	return visit_files(finder, &below, visit);
}

static int visit_directory(struct finder *finder, unsigned partition,
			   const char *path, visit_fn *visit)
{
	const struct tree *tree = finder->trees[partition - 1];
	struct place place = {
		.path = path,
		.partition = partition,
		.dir = lookup(tree, TREE_ROOT, path, strlen(path),
			      LOOKUP_LINKS_GRUB),
	};
	struct tree_info info;
	int r;

	if (!lookup_is_dir(tree, place.dir))
		return 0;
	r = visit_files(finder, &place, visit);
	if (partition == 1)
		return r;
	tree_get(tree, place.dir, &info);
	for (uint32_t i = 0; i < info.n_children && r == 0; i++)
		r = visit_below(finder, &place, info.first_child + i, visit);
	return r;
}

int kernels_find(struct finder *finder)
{
	int r = visit_directory(finder, 1, boot_dir, add_name);

	if (r == 0)
		r = visit_directory(finder, 2, kernels_dir, add_name);
	return r;
}

/* ---- what nothing uses ---- */

static int compare_nodes(const void *a, const void *b)
{
	tree_id x = *(const tree_id *)a;
	tree_id y = *(const tree_id *)b;

	return (x > y) - (x < y);
}

static int add_unused(struct finder *finder, const struct place *place,
		      const char *name, tree_id node)
{
	const struct nodes *used = &finder->used[place->partition - 1];
	enum name_kind kind = name_kind(name, place->name != NULL);

	if (kind != NAME_INITRD && kind != NAME_CMDLINE && kind != NAME_MODULES)
		return 0;
	if (used->count && bsearch(&node, used->items, used->count,
				   sizeof(*used->items), compare_nodes))
		return 0;
	return reject_name(finder, place, name,
			   strchr(name, '\r') ? unspeakable
					      : "goes with no kernel",
			   false);
}

int kernels_find_unused(struct finder *finder)
{
	int r;

	for (unsigned i = 0; i < 2; i++) {
		struct nodes *used = &finder->used[i];

		if (used->count)
			qsort(used->items, used->count, sizeof(*used->items),
			      compare_nodes);
	}
	r = visit_directory(finder, 1, boot_dir, add_unused);
	if (r == 0)
		r = visit_directory(finder, 2, kernels_dir, add_unused);
	return r;
}
