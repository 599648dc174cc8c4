/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/archives.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "imgcore/archive.h"
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
	int r = cpio_new(&cpio, g->archives, dir, layout_of(name), g->diag);

	if (r < 0)
		return r == -ENOMEM ? fail(g, dir, r) : r;
	attr.mode = S_IFREG | 0644;
	cpio_time(cpio, &attr.mtime, &attr.mtime_ns);
	r = tree_builder_add_content(g->grafts, parent, name, &attr,
				     cpio_content(cpio), cpio_size(cpio), NULL);
	if (r < 0)
		return fail(g, dir, r);
	take_ptr(cpio); /* the builder's now */
	return 0;
}

/* A directory with archives, added to the builder with the first one. */
struct holder {
	struct holder *above;
	const char *name; /* a path if it has no parent here */
	builder_id id; /* 0: not in the builder yet */
};

/* No other entry can have added it: names in a directory differ. */
static int holder_make(const struct grafting *g, struct holder *holder)
{
	int r = 0;

	if (holder->id != 0)
		return 0;
	if (!holder->above)
		return tree_builder_mkdirs(g->grafts, 0, holder->name, g->attr,
					   &holder->id);
	r = holder_make(g, holder->above);
	if (r < 0)
		return r;
	return tree_builder_add(g->grafts, holder->above->id, holder->name,
				strlen(holder->name), g->attr, &holder->id);
}

/* Adds the archives among the entries of a directory. */
static int graft_in(const struct grafting *g, struct holder *holder,
		    tree_id dir)
{
	struct tree_info above;
	int r = 0;

	tree_get(g->archives, dir, &above);
	for (uint32_t i = 0; i < above.n_children && r == 0; i++) {
		tree_id id = above.first_child + i;
		_cleanup_free_ char *name = NULL;
		struct tree_info info;

		tree_get(g->archives, id, &info);
		if (!S_ISDIR(info.attr.mode))
			continue;
		name = name_copy(&info);
		if (!name)
			return fail(g, id, -ENOMEM);
		if (boot_is_archive(name, info.name_len)) {
			r = holder_make(g, holder);
			r = r < 0 ? fail(g, id, r)
				  : graft_file(g, holder->id, id, &info, name);
		} else if (!holder->above) {
			struct holder below = { .above = holder, .name = name };

			r = graft_in(g, &below, id);
		}
		r = diag_report(g->diag, r);
	}
	return r;
}

int archives_graft(const struct tree *archives, const char *in,
		   const struct tree_attr *attr, struct tree_builder *grafts,
		   struct diag *diag)
{
	const struct grafting g = { archives, attr, grafts, diag };
	struct holder holder = { .name = in };
	tree_id dir = tree_find(archives, in);

	return dir == TREE_NONE ? 0 : graft_in(&g, &holder, dir);
}
