/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host files that a tree was scanned from: opens and verifies them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "imgcore/opener.h"
#include "imgcore/tree.h"
#include "tree/follow.h"
#include "tree/tree-internal.h"

/* Should a fifo have taken the file's place, no open waits for a writer. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

/* Opens a path; on other file systems only if the tree crosses mounts. */
static int open_path(const struct tree *tree, const char *path, int flags)
{
	/* With O_PATH the process opens it itself: that is not restricted. */
	return opener_open(flags & O_PATH ? NULL : tree->opener, tree->root_fd,
			   path, tree->cross_mounts,
			   atomic_load(&tree->own_dev), flags);
}

static int stale(const struct tree *tree, tree_id id, struct diag *diag,
		 const char *what)
{
	_cleanup_free_ char *path = NULL;

	if (diag)
		(void)tree_host_path(tree, id, &path);
	return diag_set(diag, -ESTALE, path,
			"%s since the disk was made from it", what);
}

int tree_verify_host(const struct tree *tree, tree_id id, int fd,
		     struct diag *diag)
{
	const struct place *place;
	const struct node *n = tree_inode_node(tree, id, &place);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return stale(tree, id, diag, "became unreadable");
	if (st.st_ino != n->ino || st.st_dev != node_device(place->dir, n))
		return stale(tree, id, diag, "was replaced");
	if ((uint64_t)st.st_size != n->size)
		return stale(tree, id, diag, "changed its size");
	if (st.st_mtim.tv_sec != n->mtime ||
	    (uint32_t)st.st_mtim.tv_nsec != n->mtime_ns)
		return stale(tree, id, diag, "was written to");
	if (st.st_ctim.tv_sec != n->ctime ||
	    (uint32_t)st.st_ctim.tv_nsec != n->ctime_ns)
		return stale(tree, id, diag, "was changed");
	return 0;
}

bool tree_same_but_ctime(const struct tree *tree, tree_id id, int fd)
{
	const struct place *place;
	const struct node *n = tree_inode_node(tree, id, &place);
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_ino == n->ino && st.st_dev == node_device(place->dir, n) &&
	       (uint64_t)st.st_size == n->size &&
	       st.st_mtim.tv_sec == n->mtime &&
	       (uint32_t)st.st_mtim.tv_nsec == n->mtime_ns;
}

bool tree_watched_name(const struct tree *tree, tree_id id, int32_t *ret_watch,
		       const char **ret_name, size_t *ret_len)
{
	const struct place *place;
	const struct node *n = tree_node(tree, id, &place);

	if (n->flags & (NODE_GRAFT | NODE_LINKED | NODE_LEADS_OUT))
		return false;
	*ret_watch = place->dir->watch;
	*ret_name = node_name(place->dir, n);
	*ret_len = n->name_len;
	return true;
}

static int open_scanned(const struct tree *tree, tree_id id)
{
	const struct node *n = tree_node(tree, id, NULL);
	_cleanup_free_ char *path = NULL;
	int r;

	if (n->flags & NODE_GRAFT)
		return -ENOENT;
	r = tree_path(tree, id, &path);
	if (r < 0)
		return r;
	if (n->flags & NODE_LEADS_OUT)
		return opener_open_link(tree->opener, tree->root_fd, path,
					atomic_load(&tree->own_dev),
					OPEN_FLAGS);
	return open_path(tree, path, OPEN_FLAGS);
}

/* ---- beneath a directory that stays open ---- */

void tree_dir_release(struct tree_dir *dir)
{
	base_closep(&dir->fd);
	*dir = (struct tree_dir)TREE_DIR_INIT;
}

static int open_in_dir(const struct tree *tree, tree_id id,
		       struct tree_dir *dir)
{
	const struct place *place;
	const struct node *n = tree_node(tree, id, &place);
	char name[NAME_MAX + 1];
	int fd;

	/* An opener takes whole paths. */
	if (n->flags & (NODE_GRAFT | NODE_LEADS_OUT) ||
	    (tree->opener && tree->opener->open))
		return open_scanned(tree, id);
	if (dir->tree != tree || dir->node != place->node) {
		/* The directory is opened for its second file. */
		tree_dir_release(dir);
		dir->tree = tree;
		dir->node = place->node;
	} else if (dir->fd < 0) {
		_cleanup_free_ char *path = NULL;

		if (tree_path(tree, place->node, &path) == 0)
			dir->fd = open_path(tree, path, O_PATH | O_DIRECTORY);
	}
	/* If the directory cannot be opened, the whole path will show why. */
	if (dir->fd < 0)
		return open_scanned(tree, id);
	memcpy(name, node_name(place->dir, n), n->name_len);
	name[n->name_len] = '\0';
	fd = opener_open(NULL, dir->fd, name, false, 0, OPEN_FLAGS);
	/* Something is mounted on the file itself. */
	return fd == -EXDEV ? open_scanned(tree, id) : fd;
}

int tree_open_host_in(const struct tree *tree, tree_id id, struct tree_dir *dir,
		      int *ret_fd, struct diag *diag)
{
	int fd;

	id = tree_inode(tree, id);
	fd = dir ? open_in_dir(tree, id, dir) : open_scanned(tree, id);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return stale(tree, id, diag, "was removed");
	/* A socket, a device without a driver, a link to no regular file. */
	if (fd == -ENXIO || fd == -ENODEV)
		return stale(tree, id, diag, "was replaced");
	if (fd < 0)
		return tree_fail(tree, id, fd, NULL, diag);
	*ret_fd = fd;
	return 0;
}

/* ---- links that lead out ---- */

static bool link_changed(int dirfd, const struct dir *dir, const struct node *n,
			 uint64_t own_dev, int mountinfo)
{
	_cleanup_(followed_release) struct followed target = FOLLOWED_INIT;
	const struct statx *stx = &target.stx;
	char name[NAME_MAX + 1];
	int r;

	memcpy(name, node_name(dir, n), n->name_len);
	name[n->name_len] = '\0';
	r = follow_resolve(dirfd, name, own_dev, mountinfo, &target);
	if (S_ISLNK(n->mode))
		return r == 0;
	return r < 0 || stx->stx_ino != n->ino ||
	       statx_device(stx) != node_device(dir, n) ||
	       stx->stx_size != n->size || stx->stx_mtime.tv_sec != n->mtime ||
	       stx->stx_mtime.tv_nsec != n->mtime_ns ||
	       stx->stx_ctime.tv_sec != n->ctime ||
	       stx->stx_ctime.tv_nsec != n->ctime_ns;
}

static bool any_link_changed(const struct tree *tree, const struct place *place,
			     uint64_t own_dev, int mountinfo)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;

	/* If something is wrong with the directory, its scan will report it. */
	if (tree_path(tree, place->node, &path) < 0)
		return true;
	/* With O_PATH, which Landlock does not restrict. */
	fd = open_path(tree, path, O_PATH | O_DIRECTORY);
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
		    !any_link_changed(tree, place, own_dev, mountinfo))
			continue;
		*ret_dir = place->node;
		return true;
	}
	return false;
}
