/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/scan_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/path.h"
#include "base/units.h"
#include "base/vec.h"
#include "imgcore/opener.h"
#include "tree/follow.h"
#include "tree/mount_type.h"
#include "tree/tree-internal.h"

#define COUNT_EVERY  1024u
#define KEEP_ENTRIES 4096u

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_root(const struct dir_scan *s)
{
	return *s->path == '\0';
}

/* Returns the host's path of an entry, or of the directory (name is NULL). */
static char *host_path(const struct dir_scan *s, const char *name)
{
	char *path;

	if (is_root(s) && !name)
		return strdup(s->root_path);
	if (asprintf(&path, "%s%s%s%s%s", path_prefix(s->root_path),
		     is_root(s) ? "" : "/", s->path, name ? "/" : "",
		     name ? name : "") < 0)
		return NULL;
	return path;
}

/* Adds a report. err is 0 for a notice. */
static void report(struct dir_scan *s, const char *name, int err,
		   const char *reason)
{
	unsigned number = (unsigned)s->reports.count;
	struct scan_report *report = vec_push(&s->reports);

	if (report) {
		report->path = host_path(s, name);
		report->reason = strdup(reason && *reason ? reason
							  : strerror(-err));
		report->err = err;
		report->number = number;
	}
	if (!report || !report->path || !report->reason)
		s->error = -ENOMEM;
}

static void notice(struct dir_scan *s, const char *name, const char *reason)
{
	if (s->reporting)
		report(s, name, 0, reason);
}

/*
 * Fails with err because of an entry, or of the directory itself (name is
 * NULL). If several entries fail, the error is that of the first by name: the
 * order in which the host lists its entries never shows. If every problem is
 * reported, this one is added to the reports, and the scan goes on.
 */
static int fail(struct dir_scan *s, const char *name, int err,
		const char *reason)
{
	_cleanup_free_ char *path = NULL;

	if (s->reporting && err != -ENOMEM) {
		report(s, name, err, reason);
		return err;
	}
	if (name && s->error && strcmp(s->failed, name) <= 0)
		return err;
	s->error = err;
	strncpy(s->failed, name ? name : "", sizeof(s->failed) - 1);
	path = host_path(s, name);
	if (!path || !reason || !*reason)
		return diag_set(&s->diag, err, path, NULL);
	return diag_set(&s->diag, err, path, "%s", reason);
}

static int compare_reports(const void *a, const void *b)
{
	const struct scan_report *x = a;
	const struct scan_report *y = b;
	int r = strcmp(x->path, y->path);

	return r ? r : (x->number > y->number) - (x->number < y->number);
}

void dir_scan_report(struct dir_scan *scan, struct diag *diag)
{
	if (scan->reports.count > 1)
		qsort(scan->reports.items, scan->reports.count,
		      sizeof(*scan->reports.items), compare_reports);
	for (size_t i = 0; i < scan->reports.count; i++) {
		const struct scan_report *report = &scan->reports.items[i];

		if (report->err == 0)
			diag_notice(diag, report->path, report->reason);
		else
			(void)diag_report(diag, diag_set(diag, report->err,
							 report->path, "%s",
							 report->reason));
	}
}

static void clear_reports(struct dir_scan *scan)
{
	for (size_t i = 0; i < scan->reports.count; i++) {
		free(scan->reports.items[i].path);
		free(scan->reports.items[i].reason);
	}
	vec_free(&scan->reports);
}

/* ---- one entry ---- */

void dir_scan_fill_node(const struct tree_scan_options *options,
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
 * Whether this process may read an entry; sets errno if not. For the owner the
 * mode decides: that is exact, also with ACLs, and saves a call for nearly
 * every file.
 */
static bool readable(const struct dir_scan *s, const char *name,
		     const struct statx *stx)
{
	bool dir = S_ISDIR(stx->stx_mode);
	unsigned want = dir ? 0500 : 0400;

	if (stx->stx_uid == s->euid && (stx->stx_mode & want) == want)
		return true;
	return faccessat(s->dirfd, name, dir ? R_OK | X_OK : R_OK,
			 AT_EACCESS) == 0;
}

/* Fails because an entry was removed, or replaced, after statx saw it. */
static int fail_if_changed(struct dir_scan *s, const char *name, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -EINVAL:
	case -ENXIO:
	case -ENODEV:
	case -EXDEV:
		return fail(
			s, name, -EAGAIN,
			"changed while it was read; try again when the tree is at rest");
	}
	return fail(s, name, err, NULL);
}

/* Opens an entry of the directory, or the directory itself (name is NULL). */
static int open_beneath(const struct dir_scan *s, const char *name, int flags)
{
	const struct tree_scan_options *o = s->options;
	struct opener *opener = o->opener;
	_cleanup_free_ char *path = NULL;

	if (!name || !opener || !opener->open)
		return opener_open(opener, name ? s->dirfd : s->root_fd,
				   name ? name : s->path, o->cross_mounts,
				   o->own_dev, flags);
	if (asprintf(&path, "%s%s%s", s->path, is_root(s) ? "" : "/", name) <
	    0) {
		path = NULL;
		return -ENOMEM;
	}
	return opener_open(opener, s->root_fd, path, o->cross_mounts,
			   o->own_dev, flags);
}

/* Adds the data runs of a sparse file. */
static int scan_regular(struct dir_scan *s, const char *name, struct entry *e,
			const struct statx *stx)
{
	const size_t first = s->builder.extents.count;
	const uint64_t size = stx->stx_size;
	_cleanup_close_ int fd = -1;
	off_t at = 0;

	if (size == 0 || stx->stx_blocks >= div_up(size, SECTOR))
		return 0;
	fd = open_beneath(s, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail_if_changed(s, name, fd);
	while ((uint64_t)at < size) {
		struct tree_extent *x;
		off_t start = lseek(fd, at, SEEK_DATA);
		off_t end;

		if (start < 0 && errno == ENXIO)
			break;
		end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
		if (end < 0) /* the file system knows no holes: all is data */
			return 0;
		if ((uint64_t)start >= size)
			break;
		x = vec_push(&s->builder.extents);
		if (!x)
			return fail(s, name, -ENOMEM, NULL);
		x->start = (uint64_t)start;
		x->end = min_u64((uint64_t)end, size);
		at = end;
	}
	e->first_extent = first;
	e->n_extents = s->builder.extents.count - first;
	e->sparse = true;
	return 0;
}

static int scan_symlink(struct dir_scan *s, const char *name, struct entry *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(s->dirfd, name, target, sizeof(target));
	uint64_t offset;

	if (len < 0)
		return fail_if_changed(s, name, -errno);
	if ((size_t)len == sizeof(target))
		return fail(s, name, -ENAMETOOLONG, NULL);
	if (dir_builder_put(&s->builder, target, (size_t)len, &offset) < 0)
		return fail(s, name, -ENOMEM, NULL);
	e->node.target = offset;
	e->node.size = (uint64_t)len;
	return 0;
}

static int scan_unreadable(struct dir_scan *s, const char *name)
{
	if (s->options->unreadable == TREE_UNREADABLE_SKIP) {
		s->skipped++;
		notice(s, name, "left out, since it cannot be read");
		return 0;
	}
	return fail(
		s, name, -EACCES,
		"permission denied; make it readable, or leave such files out with --unreadable=skip");
}

static void note_time(struct dir_scan *s, const struct statx *stx)
{
	int64_t ns = time_ns(stx->stx_ctime.tv_sec, stx->stx_ctime.tv_nsec);

	if (ns > s->youngest)
		s->youngest = ns;
}

/*
 * Adds the file that a link leads to in place of the link; 1: it stays a link.
 * No descriptor is kept, since those of this thread end with it.
 */
static int scan_leading_out(struct dir_scan *s, const char *name)
{
	_cleanup_(followed_release) struct followed target = FOLLOWED_INIT;
	struct entry *e;
	int r = follow_resolve(s->dirfd, name, s->options->own_dev,
			       s->mounts->fd, &target);

	if (r < 0) {
		notice(s, name,
		       r == -EXDEV
			       ? "leads to the mount of a disk; stays a link"
			       : "leads out of the tree, but to no regular file; stays a link");
		return 1;
	}
	if (faccessat(target.dirfd, target.name, R_OK, AT_EACCESS) < 0)
		return scan_unreadable(s, name);
	e = dir_builder_add(&s->builder, name, strlen(name));
	if (!e)
		return fail(s, name, -ENOMEM, NULL);
	note_time(s, &target.stx);
	e->dev = statx_device(&target.stx);
	dir_scan_fill_node(s->options, &target.stx, &e->node);
	e->node.flags |= NODE_LEADS_OUT;
	return 0;
}

static bool is_one_of(const struct tree_identity *items, size_t n,
		      const struct statx *stx)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].dev == statx_device(stx) &&
		    items[i].ino == stx->stx_ino)
			return true;
	return false;
}

/*
 * Returns why a directory or a file is empty on the disk: "" for our own mount,
 * which is not reported. NULL: it is not empty.
 */
static const char *why_closed(const struct dir_scan *s, const struct statx *stx)
{
	const struct tree_scan_options *o = s->options;

	if (!S_ISDIR(stx->stx_mode) && !S_ISREG(stx->stx_mode))
		return NULL;
	if ((o->own_dev && statx_device(stx) == o->own_dev) ||
	    is_one_of(o->prune, o->n_prune, stx))
		return "";
	if (S_ISDIR(stx->stx_mode) && is_one_of(s->above, s->n_above, stx))
		return "is a directory above it, mounted once more; empty on the disk";
	if (!(stx->stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return NULL;
	if (!o->cross_mounts)
		return "something is mounted on it; empty on the disk, unless --cross-mounts is given";
	if (!(stx->stx_mask & STATX_MNT_ID) ||
	    !mount_types_hold_files(s->mounts, stx->stx_mnt_id))
		return "an interface of the kernel, or a disk of dirdisk, is mounted on it; empty on the disk";
	return NULL;
}

/* Whether entries of the directory can be archives. */
static bool holds_archives(const struct dir_scan *s)
{
	const char *in = s->options->archives_in;
	size_t len = in ? strlen(in) : 0;
	const char *below = s->path + len;

	if (!in || strncmp(s->path, in, len) != 0)
		return false;
	return !*below ||
	       (*below == '/' && !strchr(below + 1, '/') &&
		!s->options->is_archive(below + 1, strlen(below + 1)));
}

static bool is_archive(const struct dir_scan *s, const char *name)
{
	return holds_archives(s) && s->options->is_archive(name, strlen(name));
}

/* Whether an entry is a directory that archives may lie in. */
static bool leads_to_archives(const struct dir_scan *s, const char *name)
{
	const char *in = s->options->archives_in;

	if (!in)
		return false;
	return is_root(s) ? strcmp(name, in) == 0 : strcmp(s->path, in) == 0;
}

static bool is_left_out(const struct dir_scan *s, const char *name, bool is_dir)
{
	bool split = is_root(s) && is_dir && s->options->subdir &&
		     strcmp(name, s->options->subdir) == 0;

	switch (s->options->part) {
	case TREE_PART_ALL:
		return false;
	case TREE_PART_SUBDIR:
		return is_root(s) && !split;
	case TREE_PART_ARCHIVES:
		if (!is_root(s) && !holds_archives(s))
			return false;
		return !is_dir ||
		       !(is_archive(s, name) || leads_to_archives(s, name));
	case TREE_PART_WITHOUT:
		return split || (is_dir && is_archive(s, name));
	}
	return false;
}

/* Whether an entry is of another part, and only leads to entries of this one.
 */
static bool is_other_part(const struct dir_scan *s, const char *name)
{
	return s->options->part == TREE_PART_ARCHIVES && !is_archive(s, name) &&
	       leads_to_archives(s, name);
}

/*
 * Our own mount hides a directory. Its attributes stay those of the previous
 * tree: otherwise the disk would differ after it was mounted.
 */
static int take_hidden(const struct dir_scan *s, const char *name,
		       struct entry *e)
{
	const struct tree *previous = s->options->previous;
	_cleanup_free_ char *path = NULL;
	const struct place *place;
	const struct node *n;
	tree_id id;

	if (!previous || !s->options->own_dev || e->dev != s->options->own_dev)
		return 0;
	if (asprintf(&path, "%s/%s", s->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	id = tree_find(previous, path);
	n = id == TREE_NONE ? NULL : tree_node(previous, id, &place);
	if (!n || !S_ISDIR(n->mode) || !(n->flags & NODE_UNSCANNED))
		return 0;
	e->dev = node_device(place->dir, n);
	e->node.ino = n->ino;
	e->node.mode = n->mode;
	e->node.uid = n->uid;
	e->node.gid = n->gid;
	e->node.mtime = n->mtime;
	e->node.mtime_ns = n->mtime_ns;
	e->node.ctime = n->ctime;
	e->node.ctime_ns = n->ctime_ns;
	return 0;
}

static int add_entry(struct dir_scan *s, const char *name,
		     const struct statx *stx, const char *closed)
{
	const struct tree_scan_options *o = s->options;
	bool leads_out = S_ISLNK(stx->stx_mode) && o->follow &&
			 strcmp(s->path, o->follow) == 0 &&
			 stx->stx_uid == s->euid &&
			 follow_leads_out(s->root_fd, s->path, name, o->own_dev,
					  s->mounts->fd);
	struct entry *e;
	int r = leads_out ? scan_leading_out(s, name) : 1;

	if (r != 1)
		return r;
	e = dir_builder_add(&s->builder, name, strlen(name));
	if (!e)
		return fail(s, name, -ENOMEM, NULL);
	if (leads_out)
		e->node.flags |= NODE_LEADS_OUT;
	e->dev = statx_device(stx);
	dir_scan_fill_node(o, stx, &e->node);
	if (closed) {
		e->node.flags |= NODE_UNSCANNED;
		e->node.size = 0;
		if (*closed && !is_other_part(s, name)) {
			e->node.flags |= NODE_MOUNTED;
			notice(s, name, closed);
		}
		r = take_hidden(s, name, e);
		return r < 0 ? fail(s, name, r, NULL) : 0;
	}
	if (stx->stx_nlink > 1 && !S_ISDIR(stx->stx_mode))
		e->node.flags |= NODE_LINKED;
	r = xattrs_scan(&s->xattrs, &s->builder, e, s->dirfd, name);
	if (r < 0) {
		fail(s, name, r, s->xattrs.reason);
		/* The content of a directory is still to be checked. */
		if (!s->reporting)
			return r;
		r = 0;
	}
	if (S_ISREG(stx->stx_mode))
		r = scan_regular(s, name, e, stx);
	else if (S_ISLNK(stx->stx_mode))
		r = scan_symlink(s, name, e);
	if (r < 0)
		s->builder.entries.count--;
	return r;
}

static int scan_entry(struct dir_scan *s, const char *name,
		      unsigned char d_type)
{
	/*
	 * The file system that is mounted on a directory may be slow, or our
	 * own: the kernel alone has to answer.
	 */
	int sync = d_type == DT_DIR || d_type == DT_UNKNOWN
			   ? AT_STATX_DONT_SYNC
			   : AT_STATX_SYNC_AS_STAT;
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	const unsigned mask = STATX_BASIC_STATS | STATX_MNT_ID;
	const char *closed;
	struct statx stx;
	mode_t type;

	if (statx(s->dirfd, name, flags | sync, mask, &stx) < 0)
		return errno == ENOENT ? 0 : fail(s, name, -errno, NULL);
	closed = why_closed(s, &stx);
	/* It is not our own mount: no request waits for this process. */
	if (!closed && (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) &&
	    statx(s->dirfd, name, flags, mask, &stx) < 0)
		return fail_if_changed(s, name, -errno);
	type = stx.stx_mode & S_IFMT;
	note_time(s, &stx);
	if (is_left_out(s, name, type == S_IFDIR))
		return 0;
	if (++s->uncounted >= COUNT_EVERY && s->count) {
		s->count(s->context, s->uncounted);
		s->uncounted = 0;
	}
	if ((type == S_IFREG || type == S_IFDIR) && !closed &&
	    !readable(s, name, &stx))
		return errno == ENOENT || is_other_part(s, name)
			       ? 0
			       : scan_unreadable(s, name);
	return add_entry(s, name, &stx, closed);
}

/* ---- the directory ---- */

/*
 * Opens the directory as s->dirfd, which the caller closes. It stays -1 if
 * something was mounted on it after its parent was read.
 */
static int open_directory(struct dir_scan *s)
{
	_cleanup_close_ int fd = open_beneath(s, NULL, O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (fd == -EXDEV)
		return 0;
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ||
	    (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != s->ino ||
			 st.st_dev != s->dev)))
		return fail(
			s, NULL, -EAGAIN,
			"was replaced while it was read; try again when the tree is at rest");
	if (fd < 0)
		return fail(s, NULL, fd, NULL);
	s->dirfd = take_fd(&fd);
	return 0;
}

static int read_directory(struct dir_scan *s)
{
	const struct tree_scan_options *o = s->options;
	_cleanup_(closedirp) DIR *dir = NULL;
	_cleanup_close_ int fd = -1;
	const char *only = NULL;
	int r = open_directory(s);

	if (r < 0 || s->dirfd < 0)
		return r;
	fd = s->dirfd;
	/* Before it is read: so no later change is missed. */
	s->watch = o->watch ? o->watch(o->watch_context, fd) : TREE_UNWATCHED;
	/* The root may have a single entry of this part. */
	if (is_root(s) && o->part == TREE_PART_SUBDIR)
		only = o->subdir;
	else if (is_root(s) && o->part == TREE_PART_ARCHIVES)
		only = o->archives_in;
	if (only)
		return scan_entry(s, only, DT_UNKNOWN);
	dir = fdopendir(fd);
	if (!dir)
		return fail(s, NULL, -errno, NULL);
	take_fd(&fd);
	for (;;) {
		const struct dirent *d;

		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? fail(s, NULL, -errno, NULL) : s->error;
		/* After a failure too: an entry that sorts before may fail. */
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			(void)scan_entry(s, d->d_name, d->d_type);
	}
}

/* Takes a directory that did not change, except for some subdirectories. */
static int take_directory(struct dir_scan *s)
{
	const struct dir *before = s->before;
	_cleanup_close_ int fd = -1;
	size_t next = 0;

	s->watch = before->watch;
	s->skipped = before->skipped;
	if (s->n_changed > 0) {
		int r = open_directory(s);

		if (r < 0 || s->dirfd < 0)
			return r;
		fd = s->dirfd;
	}
	for (uint32_t i = 0; i < before->count; i++) {
		const struct node *n = &before->nodes[i];
		bool changed = next < s->n_changed &&
			       s->changed[next] == s->first + i;

		next += changed;
		if (n->flags & NODE_GRAFT)
			continue;
		if (changed) {
			size_t count = s->builder.entries.count + s->skipped;
			char name[NAME_MAX + 1];

			memcpy(name, node_name(before, n), n->name_len);
			name[n->name_len] = '\0';
			if (scan_entry(s, name, DT_DIR) == 0 &&
			    s->builder.entries.count + s->skipped == count)
				(void)fail_if_changed(s, name, -ENOENT);
		} else if (dir_builder_add_node(&s->builder, before, n) < 0) {
			return fail(s, NULL, -ENOMEM, NULL);
		}
	}
	return s->error;
}

int dir_scan_run(struct dir_scan *scan)
{
	int r = scan->before ? take_directory(scan) : read_directory(scan);

	if (scan->count && scan->uncounted > 0)
		scan->count(scan->context, scan->uncounted);
	return scan->reporting ? scan->error : r;
}

void dir_scan_clear(struct dir_scan *scan)
{
	if (scan->builder.entries.size > KEEP_ENTRIES)
		dir_builder_release(&scan->builder);
	dir_builder_clear(&scan->builder);
	diag_clear(&scan->diag);
	clear_reports(scan);
	*scan = (struct dir_scan){
		.builder = scan->builder,
		.xattrs = scan->xattrs,
		.watch = TREE_NOT_HOST,
		.youngest = INT64_MIN,
		.dirfd = -1,
	};
}

void dir_scan_release(struct dir_scan *scan)
{
	dir_builder_release(&scan->builder);
	xattr_reader_release(&scan->xattrs);
	diag_clear(&scan->diag);
	clear_reports(scan);
}
