/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "tree/assembly.h"
#include "tree/host.h"

/*
 * The host is read one directory at a time, each opened anew by its path from
 * the root: two descriptors are enough, however deep the tree.
 */
struct scan {
	const struct tree_scan_options *options;
	struct assembly assembly;
	struct batch batch;
	struct diag *diag;
	uint64_t entries;
	tree_id dir; /* being read */
	uid_t euid;
	int dirfd;
};

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void scan_release(struct scan *s)
{
	assembly_release(&s->assembly);
	batch_release(&s->batch);
}

/* err, said of an entry of the directory at hand (NULL: of itself). */
static int fail(struct scan *s, const char *name, int err, const char *reason)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_free_ char *path = NULL;

	if (tree_host_path(s->assembly.tree, s->dir, &dir) < 0)
		return -ENOMEM;
	if (name && asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	if (!reason)
		return diag_set(s->diag, err, name ? path : dir, NULL);
	return diag_set(s->diag, err, name ? path : dir, "%s", reason);
}

/* ---- one entry ---- */

static uint64_t stx_dev(const struct statx *stx)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

static void fill_node(const struct tree_scan_options *options,
		      const struct statx *stx, struct node *n)
{
	bool keep = options->owner == TREE_OWNER_KEEP;

	n->ino = stx->stx_ino;
	n->mode = stx->stx_mode;
	n->uid = keep ? stx->stx_uid : options->uid;
	n->gid = keep ? stx->stx_gid : options->gid;
	n->mtime = stx->stx_mtime.tv_sec;
	n->mtime_ns = stx->stx_mtime.tv_nsec;
	n->ctime = stx->stx_ctime.tv_sec;
	n->ctime_ns = stx->stx_ctime.tv_nsec;
	if (S_ISREG(stx->stx_mode)) {
		n->size = stx->stx_size;
	} else if (S_ISCHR(stx->stx_mode) || S_ISBLK(stx->stx_mode)) {
		n->device.major = stx->stx_rdev_major;
		n->device.minor = stx->stx_rdev_minor;
	}
}

/*
 * Whether we may read it. Its owner is asked by the mode alone: that is exact,
 * with ACLs too, and saves a call for nearly every file.
 */
static bool readable(const struct scan *s, const char *name,
		     const struct statx *stx)
{
	bool dir = S_ISDIR(stx->stx_mode);
	unsigned want = dir ? 0500 : 0400;

	if (stx->stx_uid == s->euid && (stx->stx_mode & want) == want)
		return true;
	return faccessat(s->dirfd, name, dir ? R_OK | X_OK : R_OK,
			 AT_EACCESS) == 0;
}

/* Adds the data runs of an open file; none where it is all data. */
static int scan_extents(struct batch *batch, struct entry *e, int fd,
			uint64_t size)
{
	size_t first = batch->extents.count;
	off_t at = 0;

	while ((uint64_t)at < size) {
		struct tree_extent *x;
		off_t start = lseek(fd, at, SEEK_DATA);
		off_t end;

		if (start < 0 && errno == ENXIO)
			break;
		end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
		if (end < 0) /* no such notion here: all data */
			return 0;
		if ((uint64_t)start >= size)
			break;
		x = vec_push(&batch->extents);
		if (!x)
			return -ENOMEM;
		x->start = (uint64_t)start;
		x->end = (uint64_t)end < size ? (uint64_t)end : size;
		at = end;
	}
	e->first_extent = first;
	e->n_extents = batch->extents.count - first;
	e->sparse = true;
	return 0;
}

static int scan_regular(struct scan *s, const char *name, struct entry *e,
			const struct statx *stx)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (stx->stx_size == 0 ||
	    stx->stx_blocks >= (stx->stx_size + 511) / 512)
		return 0;
	fd = host_open_beneath(s->dirfd, name,
			       O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail(s, name, fd, NULL);
	r = scan_extents(&s->batch, e, fd, stx->stx_size);
	return r < 0 ? fail(s, name, r, NULL) : 0;
}

static int scan_symlink(struct scan *s, const char *name, struct entry *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(s->dirfd, name, target, sizeof(target));
	uint64_t offset;

	if (len < 0)
		return fail(s, name, -errno, NULL);
	if ((size_t)len == sizeof(target))
		return fail(s, name, -ENAMETOOLONG, NULL);
	if (batch_put(&s->batch, target, (size_t)len, &offset) < 0)
		return fail(s, name, -ENOMEM, NULL);
	e->node.target = offset;
	e->node.size = (uint64_t)len;
	return 0;
}

/*
 * Directories that are not ours to enter appear empty, and so do files that
 * something is mounted on: they could never be opened beneath the root.
 */
static bool is_closed(const struct scan *s, const struct statx *stx)
{
	if (!S_ISDIR(stx->stx_mode) && !S_ISREG(stx->stx_mode))
		return false;
	if (stx->stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return true;
	for (size_t i = 0; i < s->options->n_prune; i++)
		if (s->options->prune[i].dev == stx_dev(stx) &&
		    s->options->prune[i].ino == stx->stx_ino)
			return true;
	return false;
}

static bool is_left_out(const struct scan *s, const char *name, bool is_dir)
{
	bool split = s->dir == TREE_ROOT && is_dir && s->options->subdir &&
		     strcmp(name, s->options->subdir) == 0;

	switch (s->options->part) {
	case TREE_PART_ALL:
		return false;
	case TREE_PART_SUBDIR:
		return s->dir == TREE_ROOT && !split;
	case TREE_PART_WITHOUT:
		return split;
	}
	return false;
}

static int add_entry(struct scan *s, const char *name, const struct statx *stx)
{
	struct entry *e = batch_add(&s->batch, name, strlen(name));

	if (!e)
		return fail(s, name, -ENOMEM, NULL);
	e->dev = stx_dev(stx);
	fill_node(s->options, stx, &e->node);
	if (is_closed(s, stx)) {
		e->node.flags |= NODE_UNSCANNED;
		e->node.size = 0;
		return 0;
	}
	e->linked = stx->stx_nlink > 1 && !S_ISDIR(stx->stx_mode);
	if (S_ISREG(stx->stx_mode))
		return scan_regular(s, name, e, stx);
	if (S_ISLNK(stx->stx_mode))
		return scan_symlink(s, name, e);
	return 0;
}

static int scan_unreadable(struct scan *s, const char *name)
{
	if (s->options->unreadable == TREE_UNREADABLE_SKIP) {
		s->assembly.tree->skipped++;
		return 0;
	}
	return fail(
		s, name, -EACCES,
		"permission denied; make it readable, or leave such files out with --unreadable=skip");
}

static int scan_entry(struct scan *s, const struct dirent *d)
{
	/*
	 * What is mounted on a directory may be slow, or be ourselves: then
	 * nothing but the kernel may answer.
	 */
	int sync = d->d_type == DT_DIR || d->d_type == DT_UNKNOWN
			   ? AT_STATX_DONT_SYNC
			   : AT_STATX_SYNC_AS_STAT;
	struct statx stx;
	mode_t type;

	if (statx(s->dirfd, d->d_name,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | sync,
		  STATX_BASIC_STATS, &stx) < 0)
		return errno == ENOENT ? 0 : fail(s, d->d_name, -errno, NULL);
	type = stx.stx_mode & S_IFMT;
	if (is_left_out(s, d->d_name, type == S_IFDIR))
		return 0;
	if (++s->entries % 1024 == 0 && s->options->progress)
		s->options->progress(s->options->context, s->entries);
	if ((type == S_IFREG || type == S_IFDIR) && !is_closed(s, &stx) &&
	    !readable(s, d->d_name, &stx))
		return scan_unreadable(s, d->d_name);
	return add_entry(s, d->d_name, &stx);
}

/* ---- directories ---- */

static int read_entries(struct scan *s, DIR *dir)
{
	for (;;) {
		const struct dirent *d;
		int r;

		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? fail(s, NULL, -errno, NULL) : 0;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		r = scan_entry(s, d);
		if (r < 0)
			return r;
	}
}

/* Whether fd is the directory that its parent showed. */
static bool is_same(const struct tree *tree, tree_id id, int fd)
{
	const struct node *n = &tree->nodes.items[id];
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == n->ino &&
	       st.st_dev == tree->devices.items[n->dev];
}

static int scan_directory(struct scan *s, tree_id id)
{
	const struct tree *t = s->assembly.tree;
	_cleanup_free_ char *path = NULL;
	_cleanup_(closedirp) DIR *dir = NULL;
	_cleanup_close_ int fd = -1;
	int r = tree_path(t, id, &path);

	s->dir = id;
	if (r < 0)
		return fail(s, NULL, r, NULL);
	fd = host_open_beneath(t->root_fd, path, O_RDONLY | O_DIRECTORY);
	if (fd == -EXDEV) /* mounted on since its parent was read */
		return 0;
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ||
	    (fd >= 0 && !is_same(t, id, fd)))
		return fail(
			s, NULL, -EAGAIN,
			"was replaced while it was read; try again when the tree is at rest");
	if (fd < 0)
		return fail(s, NULL, fd, NULL);
	dir = fdopendir(fd);
	if (!dir)
		return fail(s, NULL, -errno, NULL);
	s->dirfd = take_fd(&fd);
	return read_entries(s, dir);
}

static bool is_on_host(const struct node *n)
{
	return !(n->flags & (NODE_GRAFT | NODE_UNSCANNED));
}

static int scan_all(struct scan *s)
{
	struct tree *t = s->assembly.tree;

	for (tree_id id = 0; id < t->nodes.count; id++) {
		int r;

		if (!S_ISDIR(t->nodes.items[id].mode))
			continue;
		batch_clear(&s->batch);
		if (is_on_host(&t->nodes.items[id])) {
			r = scan_directory(s, id);
			if (r < 0)
				return r;
		}
		r = assembly_append(&s->assembly, id, &s->batch, s->diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int scan_begin(struct scan *s, int root_fd, const char *root_path,
		      struct tree_builder *grafts)
{
	struct node root = { 0 };
	struct statx stx;
	struct tree *t;
	int r;

	if (statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
		return diag_set(s->diag, -errno, root_path, NULL);
	if (!S_ISDIR(stx.stx_mode))
		return diag_set(s->diag, -ENOTDIR, root_path,
				"is not a directory");
	fill_node(s->options, &stx, &root);
	r = assembly_begin(&s->assembly, &root, stx_dev(&stx), grafts);
	if (r < 0)
		return diag_set(s->diag, r, root_path, NULL);
	t = s->assembly.tree;
	t->clamp_time = s->options->clamp_time;
	t->latest_time = s->options->latest_time;
	t->root_path = strdup(root_path);
	t->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if (!t->root_path || t->root_fd < 0)
		return diag_set(s->diag, t->root_path ? -errno : -ENOMEM,
				root_path, NULL);
	return 0;
}

int tree_scan(int root_fd, const char *root_path,
	      const struct tree_scan_options *options,
	      struct tree_builder *grafts, struct tree **ret_tree,
	      struct diag *diag)
{
	_cleanup_(scan_release) struct scan s = { .options = options,
						  .euid = geteuid(),
						  .diag = diag };
	int r = scan_begin(&s, root_fd, root_path, grafts);

	if (r < 0)
		return r;
	r = scan_all(&s);
	if (r < 0)
		return r;
	*ret_tree = assembly_end(&s.assembly);
	return 0;
}
