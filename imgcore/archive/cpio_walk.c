/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "archive/cpio_walk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "imgcore/diag.h"

#define TOO_LONG                                                            \
	"its path in the archive has more than " NEWC_NAME_LIMIT " bytes, " \
	"the most that a kernel unpacks"

int cpio_fail(const struct cpio *cpio, const struct walked *at, int err,
	      const char *reason, struct diag *diag)
{
	if (!at->listed)
		return tree_fail(cpio->tree, at->source, err, reason, diag);
	return devices_fail(&cpio->list, at->line, err, diag, "%s", reason);
}

/* ---- the tree's names ---- */

static bool is_too_long(const struct cpio *cpio, size_t path_len, bool is_dir)
{
	/* There a directory's name ends in '/'. */
	if (cpio->layout == CPIO_MODULES && is_dir)
		path_len++;
	return path_len > NEWC_NAME_MAX;
}

/* Looks at a node whose directory's path is the first path_len bytes. */
static int look_at(struct cpio_walk *walk, tree_id node, size_t path_len,
		   struct diag *diag)
{
	struct walk_ahead *ahead = &walk->ahead;

	tree_get(walk->cpio->tree, node, &ahead->info);
	if (path_len > 0)
		walk->path[path_len++] = '/';
	memcpy(walk->path + path_len, ahead->info.name, ahead->info.name_len);
	ahead->node = node;
	ahead->path_len = path_len + ahead->info.name_len;
	ahead->depth = walk->prefix_depth + (unsigned)walk->dirs.count;
	if (!is_too_long(walk->cpio, ahead->path_len,
			 S_ISDIR(ahead->info.attr.mode)))
		return 0;
	/* Who goes on after that does so behind it. */
	ahead->info.n_children = 0;
	return tree_fail(walk->cpio->tree, node, -ENAMETOOLONG, TOO_LONG, diag);
}

/* The next node, in the directory that the last one was or behind it. */
static int advance(struct cpio_walk *walk, struct diag *diag)
{
	const struct tree_info *info = &walk->ahead.info;

	if (S_ISDIR(info->attr.mode) && info->n_children > 0) {
		struct walk_dir *dir = vec_push(&walk->dirs);

		if (!dir)
			return -ENOMEM;
		dir->next = info->first_child;
		dir->end = info->first_child + info->n_children;
		dir->path_len = walk->ahead.path_len;
	}
	while (walk->dirs.count > 0) {
		struct walk_dir *dir = &walk->dirs.items[walk->dirs.count - 1];

		if (dir->next < dir->end)
			return look_at(walk, dir->next++, dir->path_len, diag);
		walk->dirs.count--;
	}
	walk->ahead.node = TREE_NONE;
	return 0;
}

/* The list itself is no entry. */
static int advance_past_list(struct cpio_walk *walk, struct diag *diag)
{
	int r;

	do {
		r = advance(walk, diag);
	} while (r == 0 && walk->ahead.node == walk->cpio->list_file &&
		 walk->ahead.node != TREE_NONE);
	return r;
}

void cpio_walk_begin(struct cpio_walk *walk, const struct cpio *cpio)
{
	struct walk_ahead *ahead = &walk->ahead;
	size_t len = strlen(cpio->prefix);

	walk->cpio = cpio;
	walk->listed = 0;
	walk->dirs.items = NULL;
	walk->dirs.count = walk->dirs.size = 0;
	walk->prefix_depth = 0;
	memcpy(walk->path, cpio->prefix, len);
	for (size_t i = 0; i < len; i++)
		walk->prefix_depth += cpio->prefix[i] == '/';
	tree_get(cpio->tree, cpio->dir, &ahead->info);
	ahead->node = cpio->dir;
	ahead->path_len = len ? len - 1 : 0;
	ahead->depth = 0;
	/* A directory of modules is what is in it, not itself. */
	walk->taken = cpio->layout == CPIO_MODULES;
}

void cpio_walk_end(struct cpio_walk *walk)
{
	vec_free(&walk->dirs);
}

/* ---- with the list's ---- */

static const struct device *next_listed(const struct cpio_walk *walk)
{
	const struct devices *list = &walk->cpio->list;

	return walk->listed < list->count ? &list->items[walk->listed] : NULL;
}

static int take_node(struct cpio_walk *walk, struct walked *ret)
{
	const struct walk_ahead *ahead = &walk->ahead;

	*ret = (struct walked){
		.source = ahead->node,
		.path = walk->path,
		.path_len = ahead->path_len,
		.depth = ahead->depth,
	};
	walk->taken = true;
	return 1;
}

static int take_listed(struct cpio_walk *walk, struct walked *ret)
{
	const struct device *device = next_listed(walk);

	*ret = (struct walked){
		.listed = true,
		.source = (uint32_t)walk->listed,
		.path = device->path,
		.path_len = device->path_len,
		.depth = device->depth,
		.line = device->line,
	};
	walk->listed++;
	return 1;
}

/* One name in both: the list's, but for a directory that no line is about. */
static int take_both(struct cpio_walk *walk, struct walked *ret,
		     struct diag *diag)
{
	const struct tree_info *info = &walk->ahead.info;
	const struct device *device = next_listed(walk);
	const char *reason = NULL;

	if (device->implied && !S_ISDIR(info->attr.mode))
		reason = "is no directory";
	if (!S_ISDIR(device->attr.mode) && S_ISDIR(info->attr.mode) &&
	    info->n_children > 0)
		reason = "is a directory with something in it";
	if (reason) {
		walk->taken = true;
		walk->listed++;
		return devices_fail(&walk->cpio->list, device->line, -EINVAL,
				    diag, "\"%.*s\" %s", (int)device->path_len,
				    device->path, reason);
	}
	if (device->implied) {
		walk->listed++;
		return take_node(walk, ret);
	}
	walk->taken = true;
	return take_listed(walk, ret);
}

int cpio_walk_next(struct cpio_walk *walk, struct walked *ret,
		   struct diag *diag)
{
	const struct walk_ahead *ahead = &walk->ahead;
	const struct device *device;
	int c;

	/* Not before: the path was the caller's. */
	if (walk->taken) {
		int r = advance_past_list(walk, diag);

		if (r < 0)
			return r;
	}
	walk->taken = false;
	device = next_listed(walk);
	if (!device)
		return ahead->node == TREE_NONE ? 0 : take_node(walk, ret);
	if (ahead->node == TREE_NONE)
		return take_listed(walk, ret);
	c = path_compare(walk->path, ahead->path_len, device->path,
			 device->path_len);
	if (c == 0)
		return take_both(walk, ret, diag);
	return c < 0 ? take_node(walk, ret) : take_listed(walk, ret);
}
