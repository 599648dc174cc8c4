/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/archives.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "boot/cpio.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"

struct grafting {
	const struct tree *archives;
	const struct tree_attr *attr;
	struct tree_builder *grafts;
	struct diag *diag;
};

static char *name_copy(const struct tree_info *info)
{
	return strndup(info->name, info->name_len);
}

static int fail(const struct grafting *g, tree_id dir, int err)
{
	return tree_fail(g->archives, dir, err, NULL, g->diag);
}

static enum cpio_layout layout_of(const char *name)
{
	return strncmp(name, "modules", strlen("modules")) == 0 ? CPIO_MODULES
								: CPIO_AS_IS;
}

/* The file that stands for the directory `dir`. */
static int graft_file(const struct grafting *g, builder_id parent, tree_id dir,
		      const struct tree_info *info, const char *name)
{
	_cleanup_cpio_ struct cpio *cpio = NULL;
	struct tree_attr attr = info->attr;
	struct content *content;
	uint64_t size;
	int r = cpio_new(&cpio, g->archives, dir, layout_of(name), g->diag);

	if (r < 0)
		return r == -ENOMEM ? fail(g, dir, r) : r;
	attr.mode = S_IFREG | 0644;
	cpio_time(cpio, &attr.mtime, &attr.mtime_ns);
	size = cpio_size(cpio);
	r = cpio_content(cpio, &content);
	if (r < 0)
		return fail(g, dir, r);
	take_ptr(cpio);
	r = tree_builder_add_content(g->grafts, parent, name, &attr, content,
				     size, NULL);
	if (r < 0) {
		content->release(content);
		return fail(g, dir, r);
	}
	return 0;
}

/* Those among the entries of a directory, which is at `path`. */
static int graft_in(const struct grafting *g, const char *path, tree_id dir,
		    bool deeper);

static int graft_entry(const struct grafting *g, const char *path, tree_id id,
		       bool deeper)
{
	_cleanup_free_ char *below = NULL;
	_cleanup_free_ char *name = NULL;
	struct tree_info info;
	builder_id parent;
	int r;

	tree_get(g->archives, id, &info);
	if (!S_ISDIR(info.attr.mode))
		return 0;
	name = name_copy(&info);
	if (!name)
		return fail(g, id, -ENOMEM);
	if (boot_is_archive(name, info.name_len)) {
		r = tree_builder_mkdirs(g->grafts, 0, path, g->attr, &parent);
		return r < 0 ? fail(g, id, r)
			     : graft_file(g, parent, id, &info, name);
	}
	if (!deeper)
		return 0;
	if (asprintf(&below, "%s/%s", path, name) < 0) {
		below = NULL;
		return fail(g, id, -ENOMEM);
	}
	return graft_in(g, below, id, false);
}

static int graft_in(const struct grafting *g, const char *path, tree_id dir,
		    bool deeper)
{
	struct tree_info info;

	tree_get(g->archives, dir, &info);
	for (uint32_t i = 0; i < info.n_children; i++) {
		int r = diag_tell(
			g->diag,
			graft_entry(g, path, info.first_child + i, deeper));

		if (r < 0)
			return r;
	}
	return 0;
}

int archives_graft(const struct tree *archives, const char *in,
		   const struct tree_attr *attr, struct tree_builder *grafts,
		   struct diag *diag)
{
	const struct grafting g = { archives, attr, grafts, diag };
	tree_id dir = tree_find(archives, in);

	return dir == TREE_NONE ? 0 : graft_in(&g, in, dir, true);
}
