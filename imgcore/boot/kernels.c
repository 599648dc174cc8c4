/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names are those of grub-mkconfig's 10_linux: VERSION is the file's name
 * without `^[^0-9]*-`. An initrd is looked for under VERSION, then under
 * VERSION without `.old`, then under all that follows the first '-', which is
 * how vmlinuz-linux-lts finds initramfs-linux-lts.img.
 */
#include "boot/kernels.h"

#include <string.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/vec.h"
#include "boot/version.h"

/* GRUB gives up at the eighth symbolic link of a path. */
#define LINKS_MAX 7

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len &&
	       strcmp(name + len - suffix_len, suffix) == 0;
}

/* GRUB loses a carriage return in a menu: such a file cannot be named there. */
static bool is_skipped(const char *name)
{
	return strchr(name, '\r') || strstr(name, ".dpkg-") ||
	       has_suffix(name, ".rpmsave") || has_suffix(name, ".rpmnew") ||
	       has_prefix(name, "README") || has_suffix(name, ".sig");
}

static bool is_bare(const char *name)
{
	return strcmp(name, "vmlinuz") == 0 || strcmp(name, "bzImage") == 0;
}

static bool is_kernel_name(const char *name)
{
	if (is_bare(name))
		return true;
	return (has_prefix(name, "vmlinuz-") || has_prefix(name, "kernel-")) &&
	       !is_skipped(name);
}

static bool is_dir(const struct tree *tree, tree_id id)
{
	struct tree_info info;

	tree_get(tree, id, &info);
	return S_ISDIR(info.attr.mode);
}

/* One name below dir, which is a directory; a link is left as it is. */
static tree_id step(const struct tree *tree, tree_id dir, const char *name,
		    size_t len)
{
	struct tree_info info;

	if (len == 0 || (len == 1 && name[0] == '.'))
		return dir;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		tree_get(tree, dir, &info);
		return info.parent;
	}
	return tree_child(tree, dir, name, len);
}

/*
 * The node that path leads to from dir, all links followed within the tree, or
 * TREE_NONE. Recursion ends with LINKS_MAX.
 */
static tree_id resolve(const struct tree *tree, tree_id dir, const char *path,
		       size_t len, unsigned *links)
{
	const char *end = path + len;
	tree_id at = len && *path == '/' ? TREE_ROOT : dir;

	while (path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);
		tree_id parent = at;
		struct tree_info info;

		if (!is_dir(tree, at))
			return TREE_NONE;
		at = step(tree, parent, path, n);
		if (at == TREE_NONE)
			return TREE_NONE;
		tree_get(tree, at, &info);
		if (S_ISLNK(info.attr.mode)) {
			if (++*links > LINKS_MAX)
				return TREE_NONE;
			at = resolve(tree, parent, info.target,
				     (size_t)info.size, links);
			if (at == TREE_NONE)
				return TREE_NONE;
		}
		/* A '/' at the end asks for a directory. */
		if (slash && !is_dir(tree, at))
			return TREE_NONE;
		path += n + (slash != NULL);
	}
	return at;
}

struct lookup {
	const struct tree *tree;
	const char *dir; /* as it was given */
	tree_id id;
	unsigned links; /* on the way to it */
	unsigned partition;
};

/* Whether name in the directory is a file that GRUB could read. */
static bool lookup_has_file(const struct lookup *in, const char *name)
{
	unsigned links = in->links;
	tree_id id = resolve(in->tree, in->id, name, strlen(name), &links);
	struct tree_info info;

	if (id == TREE_NONE)
		return false;
	tree_get(in->tree, id, &info);
	return S_ISREG(info.attr.mode);
}

/* Sets *ret_path to where name is, if it is there; 0 or -ENOMEM. */
static int lookup_file(const struct lookup *in, const char *name,
		       char **ret_path)
{
	if (!lookup_has_file(in, name))
		return 0;
	if (asprintf(ret_path, "/%s/%s", in->dir, name) < 0) {
		*ret_path = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The first len bytes of version in each of the names an initrd has. */
static int lookup_initrd(const struct lookup *in, const char *version,
			 size_t len, char **ret_path)
{
	static const struct {
		const char *before;
		const char *after;
	} names[] = {
		{ "initrd.img-", "" },	  { "initrd-", ".img" },
		{ "initrd-", ".gz" },	  { "initrd-", "" },
		{ "initramfs-", ".img" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names) && !*ret_path; i++) {
		_cleanup_free_ char *name = NULL;
		int r;

		if (asprintf(&name, "%s%.*s%s", names[i].before, (int)len,
			     version, names[i].after) < 0) {
			name = NULL;
			return -ENOMEM;
		}
		r = lookup_file(in, name, ret_path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int lookup_bare_initrd(const struct lookup *in, char **ret_path)
{
	static const char *const names[] = {
		"initrd.img", "initrd",	   "initramfs.img",
		"initramfs",  "initrd.gz",
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !*ret_path && r == 0; i++)
		r = lookup_file(in, names[i], ret_path);
	return r;
}

static int kernel_find_initrd(struct kernel *kernel, const struct lookup *in)
{
	const char *version = kernel->version;
	size_t stem = version_stem_len(version);
	const char *rest;
	int r;

	if (is_bare(kernel->file))
		return lookup_bare_initrd(in, &kernel->initrd);
	r = lookup_initrd(in, version, strlen(version), &kernel->initrd);
	if (r == 0 && !kernel->initrd)
		r = lookup_initrd(in, version, stem, &kernel->initrd);
	rest = strchr(kernel->file, '-') + 1;
	if (r == 0 && !kernel->initrd)
		r = lookup_initrd(in, rest, strlen(rest), &kernel->initrd);
	return r;
}

/* What is left of a name without `^[^0-9]*-`; all of it if that is nothing. */
static const char *name_version(const char *name)
{
	const char *version = name;

	for (const char *p = name; *p && (*p < '0' || *p > '9'); p++)
		if (*p == '-')
			version = p + 1;
	return *version ? version : name;
}

static int kernel_fill(struct kernel *kernel, const char *name,
		       const struct lookup *in)
{
	kernel->partition = in->partition;
	kernel->file = strdup(name);
	kernel->version = strdup(name_version(name));
	if (!kernel->file || !kernel->version)
		return -ENOMEM;
	if (asprintf(&kernel->path, "/%s/%s", in->dir, name) < 0) {
		kernel->path = NULL;
		return -ENOMEM;
	}
	return kernel_find_initrd(kernel, in);
}

/* Why a file is no kernel; NULL: it is one. */
static const char *rejection(const struct lookup *in, const char *name)
{
	if (is_kernel_name(name))
		return lookup_has_file(in, name)
			       ? NULL
			       : "leads to no file on its partition";
	if (has_prefix(name, "initr"))
		return "goes with no kernel";
	if (has_prefix(name, "vmlinuz-") || has_prefix(name, "kernel-"))
		return "is what packages leave beside kernels, by its name";
	return "has no kernel's name: vmlinuz-*, kernel-*, vmlinuz, bzImage";
}

static int other_fill(struct no_kernel *other, const char *name,
		      const struct lookup *in, const char *reason)
{
	other->reason = reason;
	if (asprintf(&other->path, "/%s/%s", in->dir, name) >= 0)
		return 0;
	other->path = NULL;
	return -ENOMEM;
}

static int kernels_add(struct kernels *kernels, const struct lookup *in,
		       const char *name)
{
	const char *reason = rejection(in, name);
	struct no_kernel *other;
	struct kernel *kernel;

	if (reason) {
		other = vec_push(&kernels->others);
		return other ? other_fill(other, name, in, reason) : -ENOMEM;
	}
	kernel = vec_push(kernels);
	return kernel ? kernel_fill(kernel, name, in) : -ENOMEM;
}

int kernels_find(struct kernels *kernels, const struct tree *tree,
		 const char *dir, unsigned partition)
{
	struct lookup in = {
		.tree = tree,
		.dir = dir,
		.partition = partition,
	};
	struct tree_info info;

	in.id = resolve(tree, TREE_ROOT, dir, strlen(dir), &in.links);
	if (in.id == TREE_NONE)
		return 0;
	tree_get(tree, in.id, &info);
	if (!S_ISDIR(info.attr.mode))
		return 0;
	for (uint32_t i = 0; i < info.n_children; i++) {
		_cleanup_free_ char *name = NULL;
		struct tree_info child;
		int r;

		tree_get(tree, info.first_child + i, &child);
		if (S_ISDIR(child.attr.mode))
			continue;
		name = strndup(child.name, child.name_len);
		if (!name)
			return -ENOMEM;
		r = kernels_add(kernels, &in, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int kernel_compare(const void *a, const void *b)
{
	const struct kernel *x = a;
	const struct kernel *y = b;
	int r = version_compare(y->version, x->version);

	if (r == 0)
		r = (x->partition < y->partition) -
		    (x->partition > y->partition);
	return r ? r : strcmp(x->file, y->file);
}

void kernels_sort(struct kernels *kernels)
{
	if (kernels->count)
		qsort(kernels->items, kernels->count, sizeof(*kernels->items),
		      kernel_compare);
}

void kernels_clear(struct kernels *kernels)
{
	for (size_t i = 0; i < kernels->count; i++) {
		struct kernel *kernel = &kernels->items[i];

		free(kernel->file);
		free(kernel->path);
		free(kernel->initrd);
		free(kernel->version);
	}
	vec_free(kernels);
	for (size_t i = 0; i < kernels->others.count; i++)
		free(kernels->others.items[i].path);
	vec_free(&kernels->others);
}
