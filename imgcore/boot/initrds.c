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
#include "base/search.h"
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
	return finder_add_initrd(&s->kernel->entry, path);
}

/* The parts of a name before and after a version. */
struct name {
	const char *before;
	const char *after;
};

static const struct name versioned[] = {
	{ "initrd.img-", "" }, { "initrd-", ".img" },	 { "initrd-", ".gz" },
	{ "initrd-", "" },     { "initramfs-", ".img" }, { "initramfs-", "" },
};

static const struct name unversioned[] = {
	{ "initrd.img", "" }, { "initrd", "" },	   { "initramfs.img", "" },
	{ "initramfs", "" },  { "initrd.gz", "" },
};

static const struct name modules[] = { { "modules-", "" } };

/* Tries names, each with `len` bytes of version, until there is such a file. */
static int try_names(struct search *s, const struct name *names, size_t n,
		     const char *version, size_t len, const char *suffix)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0 && !s->found; i++) {
		_cleanup_free_ char *name = NULL;

		r = text_format(&name, "%s%.*s%s%s", names[i].before, (int)len,
				version, names[i].after, suffix);
		if (r == 0)
			r = try_name(s, name);
	}
	return r;
}

/* Tries the names with the kernel's version, each with the suffix after it. */
static int try_versions(struct search *s, const char *suffix)
{
	const struct kernel *kernel = s->kernel;
	const char *version = kernel->entry.version;
	const char *rest = strchr(kernel->entry.file, '-');
	/* 10_linux does not know the last, which is a directory's. */
	size_t n = ARRAY_SIZE(versioned) - !*suffix;
	int r;

	if (kernel->unversioned && !kernel->embedded_version)
		return 0;
	r = try_names(s, versioned, n, version, strlen(version), suffix);
	if (r == 0)
		r = try_names(s, versioned, n, version,
			      version_stem_len(version), suffix);
	if (r == 0 && rest)
		r = try_names(s, versioned, n, rest + 1, strlen(rest + 1),
			      suffix);
	return r;
}

/*
 * Adds the first file that there is, and the first directory. Unversioned
 * kernels have unversioned initrds, otherwise those of their version.
 */
static int find_main(struct search *s)
{
	static const char *const suffixes[] = { "", ".d" };
	const struct kernel *kernel = s->kernel;
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0 && kernel->unversioned; i++) {
		s->found = false;
		r = try_names(s, unversioned, ARRAY_SIZE(unversioned), "", 0,
			      suffixes[i]);
	}
	if (r < 0 || kernel->entry.n_initrds > 0)
		return r;
	for (size_t i = 0; i < 2 && r == 0; i++) {
		s->found = false;
		r = try_versions(s, suffixes[i]);
	}
	return r;
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
	for (size_t which = 0; which < ARRAY_SIZE(starts); which++) {
		const char *start = starts[which];
		size_t len = strlen(start);
		/* The first child whose name is not below the start. */
		size_t i = search_first(
			count, k, ({
				int c;

				tree_get(tree, first + (tree_id)k, &info);
				c = memcmp(info.name, start,
					   min_u64(info.name_len, len));
				c < 0 || (c == 0 && info.name_len < len);
			}));

		for (; i < count && r == 0; i++) {
			_cleanup_free_ char *name = NULL;

			tree_get(tree, first + (tree_id)i, &info);
			name = strndup(info.name, info.name_len);
			if (!name)
				return -ENOMEM;
			if (!name_starts(name, start))
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
	r = try_names(s, modules, 1, version, strlen(version), "");
	if (r == 0 && kernel->embedded_version)
		r = try_names(s, modules, 1, kernel->embedded_version,
			      strlen(kernel->embedded_version), "");
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
