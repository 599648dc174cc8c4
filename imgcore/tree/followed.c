/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "tree/dir.h"
#include "tree/follow.h"
#include "tree/open.h"
#include "tree/scan_dir.h"

static bool is_same(const struct dir *dir, const struct node *n,
		    const struct statx *stx)
{
	return stx->stx_ino == n->ino &&
	       scan_device(stx) == node_device(dir, n) &&
	       stx->stx_size == n->size && stx->stx_mtime.tv_sec == n->mtime &&
	       stx->stx_mtime.tv_nsec == n->mtime_ns &&
	       stx->stx_ctime.tv_sec == n->ctime &&
	       stx->stx_ctime.tv_nsec == n->ctime_ns;
}

static bool link_changed(int dirfd, const struct dir *dir, const struct node *n,
			 uint64_t own_dev, int mountinfo)
{
	_cleanup_(followed_release) struct followed target = FOLLOWED_INIT;
	char name[NAME_MAX + 1];
	int r;

	memcpy(name, node_name(dir, n), n->name_len);
	name[n->name_len] = '\0';
	r = follow_resolve(dirfd, name, own_dev, mountinfo, &target);
	if (S_ISLNK(n->mode))
		return r == 0;
	return r < 0 || !is_same(dir, n, &target.stx);
}

static bool any_changed(const struct tree *tree, const struct place *place,
			uint64_t own_dev, int mountinfo)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;

	/* What is wrong with the directory, a scan of it will say. */
	if (tree_path(tree, place->node, &path) < 0)
		return true;
	/* With O_PATH, which Landlock does not restrict. */
	fd = tree_open_path(tree, path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return true;
	for (uint32_t i = 0; i < place->dir->count; i++) {
		const struct node *n = &place->dir->nodes[i];

		if ((n->flags & NODE_LEADS_OUT) &&
		    link_changed(fd, place->dir, n, own_dev, mountinfo))
			return true;
	}
	return false;
}

/* Only directories of the root have such links. */
bool tree_followed_changed(const struct tree *tree, uint64_t own_dev,
			   int mountinfo, tree_id *ret_dir)
{
	const struct place *root = &tree->places.items[1];

	for (uint32_t i = 0; i < root->dir->subdirs; i++) {
		const struct place *place =
			&tree->places.items[root->first_subdir + i];

		if (!place->dir->leads_out ||
		    !any_changed(tree, place, own_dev, mountinfo))
			continue;
		*ret_dir = place->node;
		return true;
	}
	return false;
}
