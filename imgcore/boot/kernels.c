/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/kernels.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "base/vec.h"
#include "boot/bzimage.h"
#include "boot/initrds.h"
#include "boot/lookup.h"
#include "boot/names.h"
#include "imgcore/paths.h"

static const char unquotable[] =
	"has a carriage return in its name, which GRUB cannot be told";

/* ---- one file ---- */

static int reject_name(struct finder *finder, const struct kernel_dir *dir,
		       const char *name, const char *reason, bool is_kernel)
{
	_cleanup_free_ char *path = NULL;
	int r = text_format(&path, "/%s/%s", dir->path, name);

	return r < 0 ? r
		     : finder_reject(finder, dir->partition, path, reason,
				     is_kernel);
}

/*
 * Fills a kernel from its name, its directory and its file; sets a reason if it
 * cannot boot. Its command line and its initrds are its own even then.
 */
static int fill_kernel(struct finder *finder, const struct kernel_dir *dir,
		       const char *name, struct kernel *kernel,
		       char **ret_reason)
{
	const struct tree *tree = finder->trees[dir->partition - 1];
	struct boot_entry *entry = &kernel->entry;
	struct kernel_image image;
	tree_id cmdline;
	int r;

	kernel->unversioned = name_is_unversioned(name);
	kernel->on_top = kernel->unversioned && dir->partition == 2 &&
			 !dir->name;
	kernel->named = true;
	entry->partition = dir->partition;
	entry->file = strdup(name);
	entry->name = dir->name ? strdup(dir->name) : NULL;
	if (!entry->file || (dir->name && !entry->name) ||
	    text_format(&entry->path, "/%s/%s", dir->path, name) < 0)
		return -ENOMEM;
	r = kernel_find_cmdline(finder, kernel, &cmdline);
	if (r == 0 && cmdline != TREE_NONE)
		r = finder_use(finder, dir->partition, cmdline);
	if (r == 0)
		r = finder->target->read_kernel(tree, kernel->file, &image,
						ret_reason, finder->diag);
	if (r < 0)
		return r;
	kernel->embedded_version = image.version;
	kernel->cmdline_size = image.cmdline_size;
	entry->version = strdup(kernel->unversioned && image.version
					? image.version
					: name_version(name));
	return entry->version ? initrds_find(finder, dir, kernel) : -ENOMEM;
}

static int add_kernel(struct finder *finder, const struct kernel_dir *dir,
		      const char *name, tree_id node)
{
	const struct tree *tree = finder->trees[dir->partition - 1];
	_cleanup_(kernel_clear) struct kernel kernel = {
		.dir = dir->node,
		.node = node,
		.file = lookup(tree, dir->node, name, strlen(name),
			       LOOKUP_LINKS_GRUB),
	};
	char *reason = NULL;
	struct kernel *added;
	int r;

	if (!lookup_is_file(tree, kernel.file))
		return reject_name(finder, dir, name,
				   "leads to no file on its partition", true);
	r = fill_kernel(finder, dir, name, &kernel, &reason);
	if (r == 0 && !reason && kernel.too_many_initrds)
		r = text_format(&reason,
				"has more than %u initrds in its directory; "
				"name the one that goes with it",
				INITRDS_MAX);
	if (r == 0 && !reason)
		r = finder_add_size(&finder->size, kernel_size(&kernel),
				    &reason);
	if (r < 0) {
		free(reason);
		return r;
	}
	if (reason)
		return finder_reject_kernel(finder, dir->partition,
					    kernel.entry.path, reason);
	added = vec_push(&finder->kernels);
	if (!added)
		return -ENOMEM;
	*added = kernel;
	kernel = (struct kernel){ 0 };
	return 0;
}

/* Rejects a vmlinux, which users take for a kernel, with the reason. */
static int reject_vmlinux(struct finder *finder, const struct kernel_dir *dir,
			  const char *name, bool *ret_rejected)
{
	const struct tree *tree = finder->trees[dir->partition - 1];
	tree_id file = lookup(tree, dir->node, name, strlen(name),
			      LOOKUP_LINKS_GRUB);
	_cleanup_free_ char *path = NULL;
	struct kernel_image image = { 0 };
	char *reason = NULL;
	int r;

	*ret_rejected = false;
	if (!lookup_is_file(tree, file))
		return 0;
	if (text_format(&path, "/%s/%s", dir->path, name) < 0)
		return -ENOMEM;
	r = finder->target->read_kernel(tree, file, &image, &reason,
					finder->diag);
	free(image.version);
	if (r < 0 || !reason)
		return r;
	*ret_rejected = true;
	return finder_reject_kernel(finder, dir->partition, path, reason);
}

static int add_name(struct finder *finder, const struct kernel_dir *dir,
		    const char *name, tree_id node)
{
	bool rejected;
	int r;

	switch (name_kind(name, dir->name != NULL)) {
	case NAME_KERNEL:
		return add_kernel(finder, dir, name, node);
	case NAME_UNQUOTABLE:
		return reject_name(finder, dir, name, unquotable, true);
	case NAME_LEFT_OVER:
		return reject_name(finder, dir, name,
				   "is what packages leave beside kernels, by "
				   "its name",
				   false);
	case NAME_CMDLINE:
	case NAME_INITRD:
	case NAME_MODULES:
		return 0;
	case NAME_VMLINUX:
		r = reject_vmlinux(finder, dir, name, &rejected);
		if (r < 0 || rejected)
			return r;
		break;
	case NAME_OTHER:
		if (dir->name)
			return 0;
		break;
	}
	return reject_name(finder, dir, name,
			   "has no kernel's name: vmlinuz-*, kernel-*, "
			   "vmlinuz, bzImage",
			   false);
}

/* ---- directories ---- */

typedef int visit_fn(struct finder *finder, const struct kernel_dir *dir,
		     const char *name, tree_id node);

/* Calls visit with each entry of the directory that is no directory. */
static int visit_files(struct finder *finder, const struct kernel_dir *dir,
		       visit_fn *visit)
{
	const struct tree *tree = finder->trees[dir->partition - 1];
	struct tree_info info;
	uint32_t first, n;
	int r = 0;

	tree_get(tree, dir->node, &info);
	first = info.first_child;
	n = info.n_children;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		_cleanup_free_ char *name = NULL;

		tree_get(tree, first + i, &info);
		if (S_ISDIR(info.attr.mode))
			continue;
		name = strndup(info.name, info.name_len);
		r = name ? visit(finder, dir, name, first + i) : -ENOMEM;
	}
	return r;
}

/* Calls visit with each file of kernels/NAME/. */
static int visit_below(struct finder *finder, const struct kernel_dir *dir,
		       tree_id node, visit_fn *visit)
{
	const struct tree *tree = finder->trees[dir->partition - 1];
	_cleanup_free_ char *path = NULL;
	struct kernel_dir below = *dir;
	struct tree_info info;

	tree_get(tree, node, &info);
	if (!S_ISDIR(info.attr.mode) || info.reserved ||
	    boot_is_archive(info.name, info.name_len))
		return 0;
	if (text_format(&path, "%s/%.*s", dir->path, (int)info.name_len,
			info.name) < 0)
		return -ENOMEM;
	below.path = path;
	below.name = strrchr(path, '/') + 1;
	below.node = node;
	if (!strchr(path, '\r'))
		return visit_files(finder, &below, visit);
	return visit == add_name
		       ? reject_name(finder, dir, below.name, unquotable, true)
		       : 0;
}

/* Calls visit with each file where kernels are, on both partitions. */
static int visit_all(struct finder *finder, visit_fn *visit)
{
	static const char *const paths[] = { PATH_BOOT, PATH_KERNELS };
	int r = 0;

	for (unsigned i = 0; i < 2 && r == 0; i++) {
		const struct tree *tree = finder->trees[i];
		struct kernel_dir dir = {
			.path = paths[i],
			.partition = i + 1,
			.node = lookup(tree, TREE_ROOT, paths[i],
				       strlen(paths[i]), LOOKUP_LINKS_GRUB),
		};
		struct tree_info info;

		if (!lookup_is_dir(tree, dir.node))
			continue;
		r = visit_files(finder, &dir, visit);
		tree_get(tree, dir.node, &info);
		for (uint32_t k = 0; i == 1 && k < info.n_children && r == 0;
		     k++)
			r = visit_below(finder, &dir, info.first_child + k,
					visit);
	}
	return r;
}

int kernels_find(struct finder *finder)
{
	return visit_all(finder, add_name);
}

/* ---- unused files ---- */

static int compare_nodes(const void *a, const void *b)
{
	tree_id x = *(const tree_id *)a;
	tree_id y = *(const tree_id *)b;

	return (x > y) - (x < y);
}

static int add_unused(struct finder *finder, const struct kernel_dir *dir,
		      const char *name, tree_id node)
{
	const struct nodes *used = &finder->used[dir->partition - 1];
	enum name_kind kind = name_kind(name, dir->name != NULL);

	if (kind != NAME_INITRD && kind != NAME_CMDLINE && kind != NAME_MODULES)
		return 0;
	if (used->count && bsearch(&node, used->items, used->count,
				   sizeof(*used->items), compare_nodes))
		return 0;
	return reject_name(
		finder, dir, name,
		strchr(name, '\r') ? unquotable : "goes with no kernel", false);
}

int kernels_find_unused(struct finder *finder)
{
	for (unsigned i = 0; i < 2; i++) {
		struct nodes *used = &finder->used[i];

		if (used->count)
			qsort(used->items, used->count, sizeof(*used->items),
			      compare_nodes);
	}
	return visit_all(finder, add_unused);
}
