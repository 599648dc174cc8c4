/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "archive/cpio_walk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "imgcore/diag.h"

int cpio_walk_fail(const struct cpio_source *source, const struct walked *at,
		   int err, const char *reason, struct diag *diag)
{
	if (!at->listed)
		return tree_fail(source->tree, at->source, err, reason, diag);
	return devices_fail(&source->list, at->line, err, diag, "%s", reason);
}

/* ---- the tree's names ---- */

/* The next node, in the directory that the last one was or after it. */
static int advance(struct cpio_walk *walk, struct diag *diag)
{
	const struct tree *tree = walk->source->tree;
	struct walk_ahead *ahead = &walk->ahead;
	struct walk_dir *dir = NULL;
	size_t path_len;
	bool is_dir;

	if (S_ISDIR(ahead->info.attr.mode) && ahead->info.n_children > 0) {
		dir = vec_push(&walk->dirs);
		if (!dir)
			return -ENOMEM;
		dir->next = ahead->info.first_child;
		dir->end = ahead->info.first_child + ahead->info.n_children;
		dir->path_len = ahead->path_len;
	}
	ahead->node = TREE_NONE;
	while (ahead->node == TREE_NONE && walk->dirs.count > 0) {
		dir = &walk->dirs.items[walk->dirs.count - 1];
		if (dir->next == dir->end)
			walk->dirs.count--;
		/* The list itself is no entry. */
		else if (dir->next++ != walk->source->list_file)
			ahead->node = dir->next - 1;
	}
	if (ahead->node == TREE_NONE)
		return 0;
	tree_get(tree, ahead->node, &ahead->info);
	path_len = dir->path_len;
	if (path_len > 0)
		walk->path[path_len++] = '/';
	memcpy(walk->path + path_len, ahead->info.name, ahead->info.name_len);
	ahead->path_len = path_len + ahead->info.name_len;
	ahead->depth = walk->prefix_depth + (unsigned)walk->dirs.count;
	/* A directory of modules has a '/' at its end. */
	is_dir = S_ISDIR(ahead->info.attr.mode);
	if (ahead->path_len +
		    (walk->source->layout == CPIO_MODULES && is_dir) <=
	    NEWC_NAME_MAX)
		return 0;
	/* The next call continues after all that is in it. */
	ahead->info.n_children = 0;
	return tree_fail(
		tree, ahead->node, -ENAMETOOLONG,
		"its path in the archive has more than " NEWC_NAME_LIMIT
		" bytes, the most that a kernel unpacks",
		diag);
}

void cpio_walk_begin(struct cpio_walk *walk, const struct cpio_source *source)
{
	struct walk_ahead *ahead = &walk->ahead;
	size_t len = strlen(source->prefix);

	walk->source = source;
	walk->listed = 0;
	walk->dirs.items = NULL;
	walk->dirs.count = walk->dirs.size = 0;
	walk->prefix_depth = 0;
	memcpy(walk->path, source->prefix, len);
	for (size_t i = 0; i < len; i++)
		walk->prefix_depth += source->prefix[i] == '/';
	tree_get(source->tree, source->dir, &ahead->info);
	ahead->node = source->dir;
	ahead->path_len = len ? len - 1 : 0;
	ahead->depth = 0;
	/* A directory of modules is no entry, only its content. */
	walk->returned = source->layout == CPIO_MODULES;
}

void cpio_walk_end(struct cpio_walk *walk)
{
	vec_free(&walk->dirs);
}

/* ---- with the list's ---- */

static int take_node(struct cpio_walk *walk, struct walked *ret)
{
	*ret = (struct walked){
		.source = walk->ahead.node,
		.path = walk->path,
		.path_len = walk->ahead.path_len,
		.depth = walk->ahead.depth,
	};
	walk->returned = true;
	return 1;
}

static int take_listed(struct cpio_walk *walk, struct walked *ret)
{
	const struct device *device = &walk->source->list.items[walk->listed];

	*ret = (struct walked){
		.listed = true,
		.source = (uint32_t)walk->listed++,
		.path = device->path,
		.path_len = device->path_len,
		.depth = device->depth,
		.line = device->line,
	};
	return 1;
}

int cpio_walk_next(struct cpio_walk *walk, struct walked *ret,
		   struct diag *diag)
{
	const struct devices *list = &walk->source->list;
	const struct walk_ahead *ahead = &walk->ahead;
	const struct device *device;
	const char *reason = NULL;
	int c;

	/* Not before: the path was the caller's. */
	if (walk->returned) {
		int r = advance(walk, diag);

		if (r < 0)
			return r;
	}
	walk->returned = false;
	if (walk->listed == list->count)
		return ahead->node == TREE_NONE ? 0 : take_node(walk, ret);
	if (ahead->node == TREE_NONE)
		return take_listed(walk, ret);
	device = &list->items[walk->listed];
	c = devices_compare_paths(walk->path, ahead->path_len, device->path,
				  device->path_len);
	if (c != 0)
		return c < 0 ? take_node(walk, ret) : take_listed(walk, ret);

	/* In both: the list's, but a directory that no line names. */
	if (device->implied && !S_ISDIR(ahead->info.attr.mode))
		reason = "is no directory";
	if (!S_ISDIR(device->attr.mode) && S_ISDIR(ahead->info.attr.mode) &&
	    ahead->info.n_children > 0)
		reason = "is a directory with something in it";
	walk->returned = true;
	if (!reason && !device->implied)
		return take_listed(walk, ret);
	walk->listed++;
	if (!reason)
		return take_node(walk, ret);
	return devices_fail(list, device->line, -EINVAL, diag, "\"%.*s\" %s",
			    (int)device->path_len, device->path, reason);
}
