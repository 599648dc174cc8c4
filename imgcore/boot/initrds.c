/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An initrd is looked for as 10_linux does: under VERSION, under VERSION
 * without `.old`, and then under all that follows the first '-' of the kernel's
 * name, which is how vmlinuz-linux-lts finds initramfs-linux-lts.img. A
 * directory that the disk shows as an archive has such a name with ".d" after
 * it; if both exist, both are loaded, and the kernel unpacks the second over
 * the first. Then the modules of the version.
 */
#include "boot/initrds.h"

#include <errno.h>
#include <string.h>

#include "base/math.h"
#include "base/text.h"
#include "base/vec.h"
#include "boot/lookup.h"
#include "boot/names.h"
#include "boot/version.h"

struct search {
	struct finder *finder;
	const struct kernel_dir *dir;
	struct kernel *kernel;
	bool found; /* by the names looked for last */
};

/* Adds the file of that name, if there is one that GRUB can read. */
static int try_name(struct search *s, const char *name)
{
	const struct kernel_dir *dir = s->dir;
	const struct tree *tree = s->finder->trees[dir->partition - 1];
	tree_id node = tree_child(tree, dir->node, name, strlen(name));
	char *path;
	int r;

	if (node == TREE_NONE ||
	    !lookup_is_file(tree, lookup(tree, dir->node, name, strlen(name),
					 LOOKUP_LINKS_GRUB)))
		return 0;
	s->found = true;
	r = finder_use(s->finder, dir->partition, node);
	if (r < 0)
		return r;
	if (text_format(&path, "/%s/%s", dir->path, name) < 0)
		return -ENOMEM;
	return entry_add_initrd(&s->kernel->entry, path);
}

/* A name of three parts; the middle one is `len` bytes of version. */
static int try_parts(struct search *s, const char *before, const char *version,
		     size_t len, const char *after, const char *suffix)
{
	_cleanup_free_ char *name = NULL;

	if (text_format(&name, "%s%.*s%s%s", before, (int)len, version, after,
			suffix) < 0)
		return -ENOMEM;
	return try_name(s, name);
}

static int try_version(struct search *s, const char *version, size_t len,
		       const char *suffix)
{
	static const struct {
		const char *before;
		const char *after;
	} names[] = {
		{ "initrd.img-", "" },	  { "initrd-", ".img" },
		{ "initrd-", ".gz" },	  { "initrd-", "" },
		{ "initramfs-", ".img" }, { "initramfs-", "" },
	};
	/* 10_linux does not know the last, which is a directory's. */
	size_t n = ARRAY_SIZE(names) - !*suffix;
	int r = 0;

	for (size_t i = 0; i < n && r == 0 && !s->found; i++)
		r = try_parts(s, names[i].before, version, len, names[i].after,
			      suffix);
	return r;
}

static int try_unversioned(struct search *s, const char *suffix)
{
	static const char *const names[] = {
		"initrd.img", "initrd",	   "initramfs.img",
		"initramfs",  "initrd.gz",
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0 && !s->found; i++)
		r = try_parts(s, names[i], "", 0, "", suffix);
	return r;
}

/* The first name that the kernel's version has for one, with suffix behind. */
static int try_versions(struct search *s, const char *suffix)
{
	const struct kernel *kernel = s->kernel;
	const char *version = kernel->entry.version;
	const char *rest = strchr(kernel->entry.file, '-');
	int r;

	if (kernel->unversioned && !kernel->embedded_version)
		return 0;
	r = try_version(s, version, strlen(version), suffix);
	if (r == 0)
		r = try_version(s, version, version_stem_len(version), suffix);
	if (r == 0 && rest)
		r = try_version(s, rest + 1, strlen(rest + 1), suffix);
	return r;
}

/* The first file that is there, and the first directory. */
static int find_pair(struct search *s,
		     int (*try)(struct search *s, const char *suffix))
{
	int r;

	s->found = false;
	r = try(s, "");
	s->found = false;
	return r < 0 ? r : try(s, ".d");
}

/* Unversioned kernels have unversioned initrds, otherwise of their version. */
static int find_main(struct search *s)
{
	const struct kernel *kernel = s->kernel;
	int r = kernel->unversioned ? find_pair(s, try_unversioned) : 0;

	return r < 0 || kernel->entry.n_initrds > 0
		       ? r
		       : find_pair(s, try_versions);
}

/*
 * Adds every initrd beside a kernel that has a directory of its own. At most
 * INITRDS_MAX are read, since this is repeated for each kernel there.
 */
static int find_all(struct search *s)
{
	static const char *const starts[] = { "initramfs", "initrd" };
	const struct kernel_dir *dir = s->dir;
	const struct tree *tree = s->finder->trees[dir->partition - 1];
	struct tree_info info;
	uint32_t first, count;
	unsigned n = 0;
	int r = 0;

	tree_get(tree, dir->node, &info);
	first = info.first_child;
	count = info.n_children;
	for (size_t k = 0; k < ARRAY_SIZE(starts); k++) {
		size_t len = strlen(starts[k]);
		uint32_t i = 0;

		/* The first child whose name is not below the start. */
		for (uint32_t end = count; i < end;) {
			uint32_t mid = i + (end - i) / 2;
			int c;

			tree_get(tree, first + mid, &info);
			c = memcmp(info.name, starts[k],
				   info.name_len < len ? info.name_len : len);
			if (c < 0 || (c == 0 && info.name_len < len))
				i = mid + 1;
			else
				end = mid;
		}
		for (; i < count && r == 0; i++) {
			_cleanup_free_ char *name = NULL;

			tree_get(tree, first + i, &info);
			name = strndup(info.name, info.name_len);
			if (!name)
				return -ENOMEM;
			if (!name_starts(name, starts[k]))
				break;
			if (++n > INITRDS_MAX) {
				s->kernel->too_many_initrds = true;
				return 0;
			}
			if (name_kind(name, true) == NAME_INITRD &&
			    !strchr(name, '\r'))
				r = try_name(s, name);
		}
	}
	return r;
}

/* The modules of the version in the name, otherwise of the embedded one. */
static int find_modules(struct search *s)
{
	const struct kernel *kernel = s->kernel;
	const char *version = kernel->entry.version;
	int r;

	s->found = false;
	r = try_parts(s, "modules-", version, strlen(version), "", "");
	if (r == 0 && !s->found && kernel->embedded_version)
		r = try_parts(s, "modules-", kernel->embedded_version,
			      strlen(kernel->embedded_version), "", "");
	if (r == 0 && !s->found && (kernel->unversioned || s->dir->name))
		r = try_name(s, "modules");
	return r;
}

int initrds_find(struct finder *finder, const struct kernel_dir *dir,
		 struct kernel *kernel)
{
	struct search s = {
		.finder = finder,
		.dir = dir,
		.kernel = kernel,
	};
	int r = find_main(&s);

	if (r == 0 && dir->name && kernel->entry.n_initrds == 0)
		r = find_all(&s);
	return r < 0 ? r : find_modules(&s);
}
