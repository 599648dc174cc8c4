/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "imgcore/opener.h"
#include "tree/mount_type.h"

#define LINKS_MAX 40 /* as the kernel has it */

/* A walk along a path: where it is, and what is left of the path. */
struct walk {
	int dir; /* O_PATH */
	struct statx at; /* of dir */
	char *path;
	const char *rest; /* of path */
	unsigned links;
	bool by_owner; /* see take_link */
	uint32_t other; /* owner of a link, neither we nor root; 0: none yet */
	uint64_t own_dev;
	int mountinfo;
	bool beneath; /* the walk ends if it would leave top */
	struct statx top;
	bool left; /* it would have */
};

static void walk_release(struct walk *w)
{
	base_closep(&w->dir);
	free(w->path);
}

void followed_release(struct followed *followed)
{
	base_closep(&followed->dirfd);
	free(followed->name);
	*followed = (struct followed)FOLLOWED_INIT;
}

int follow_look(int fd, uint64_t own_dev, struct statx *ret_stx)
{
	int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;

	if (statx(fd, "", flags, STATX_BASIC_STATS | STATX_MNT_ID, ret_stx) < 0)
		return -errno;
	return own_dev && statx_device(ret_stx) == own_dev ? -EXDEV : 0;
}

/* Takes fd, the directory that the walk goes on from. */
static int enter(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	base_closep(&w->dir);
	w->dir = fd;
	return follow_look(fd, w->own_dev, &w->at);
}

static int walk_begin(struct walk *w, int dirfd, const char *dir,
		      const char *name)
{
	int r = enter(w, openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));

	if (r < 0)
		return r;
	w->top = w->at;
	if (asprintf(&w->path, "%s/%s", dir, name) < 0) {
		w->path = NULL;
		return -ENOMEM;
	}
	w->rest = w->path + strspn(w->path, "/");
	return 0;
}

/* ---- links ---- */

/*
 * Puts the text of a link before what is left. Nobody's link is followed out of
 * a directory of another's that everyone may write to (fs.protected_symlinks in
 * proc_sys_fs(5)). With by_owner, a link of another user is followed only to a
 * file of the same user: so it never shows a file that this process may read
 * and its owner may not.
 */
static int take_link(struct walk *w, int fd, const struct statx *link)
{
	const unsigned shared = S_ISVTX | S_IWOTH;
	const uid_t owner = link->stx_uid;
	char text[PATH_MAX];
	ssize_t len;
	char *path;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if ((w->at.stx_mode & shared) == shared && owner != w->at.stx_uid &&
	    owner != geteuid())
		return -EACCES;
	if (w->by_owner && owner != 0 && owner != geteuid()) {
		if (!w->other)
			w->other = owner;
		if (w->other != owner)
			return -EACCES;
	}
	len = readlinkat(fd, "", text, sizeof(text));
	if (len < 0)
		return -errno;
	if (len == 0)
		return -ENOENT;
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	text[len] = '\0';
	if (asprintf(&path, "%s%s", text, w->rest) < 0)
		return -ENOMEM;
	free(w->path);
	w->path = path;
	w->rest = path + strspn(path, "/");
	if (*text != '/')
		return 0;
	if (w->beneath) {
		w->left = true;
		return -EXDEV;
	}
	return enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* ---- names ---- */

/* Ends at the target. Its file system, which is not ours, is asked now. */
static int arrive(struct walk *w, int fd, const char *name,
		  struct followed *ret)
{
	struct statx stx;
	char *copy;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
		return -errno;
	if (!S_ISREG(stx.stx_mode))
		return -EINVAL;
	if (w->other && stx.stx_uid != w->other)
		return -EACCES;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	*ret = (struct followed){
		.dirfd = take_fd(&w->dir),
		.name = copy,
		.stx = stx,
	};
	return 1;
}

/* Takes one step, to a name; 1: the walk has arrived. */
static int step(struct walk *w, const char *name, struct followed *ret)
{
	_cleanup_close_ int fd = -1;
	struct statx stx;
	int r;

	if (*name == '\0')
		return -EISDIR;
	if (w->beneath && strcmp(name, "..") == 0 &&
	    w->at.stx_ino == w->top.stx_ino &&
	    statx_device(&w->at) == statx_device(&w->top)) {
		w->left = true;
		return -EXDEV;
	}
	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = follow_look(fd, w->own_dev, &stx);
	if (r == 0 && (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) &&
	    mount_type_is_disk(w->mountinfo, &stx))
		r = -EXDEV;
	if (r < 0)
		return r;
	if (S_ISLNK(stx.stx_mode))
		return take_link(w, fd, &stx);
	if (S_ISDIR(stx.stx_mode))
		return enter(w, take_fd(&fd));
	return *w->rest ? -ENOTDIR : arrive(w, fd, name, ret);
}

static int walk_run(struct walk *w, struct followed *ret)
{
	int r;

	do {
		char name[NAME_MAX + 1];
		size_t len;

		w->rest += strspn(w->rest, "/");
		len = strcspn(w->rest, "/");
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, w->rest, len);
		name[len] = '\0';
		/* What remains starts with its '/'. */
		w->rest += len;
		r = step(w, name, ret);
	} while (r == 0);
	return r < 0 ? r : 0;
}

int follow_resolve(int dirfd, const char *name, uint64_t own_dev, int mountinfo,
		   struct followed *ret_followed)
{
	_cleanup_(walk_release) struct walk w = {
		.dir = -1,
		.own_dev = own_dev,
		.mountinfo = mountinfo,
		.by_owner = true,
	};
	int r = walk_begin(&w, dirfd, "", name);

	return r < 0 ? r : walk_run(&w, ret_followed);
}

bool follow_leads_out(int root_fd, const char *dir, const char *name,
		      uint64_t own_dev, int mountinfo)
{
	_cleanup_(walk_release) struct walk w = {
		.dir = -1,
		.own_dev = own_dev,
		.mountinfo = mountinfo,
		.beneath = true,
	};
	_cleanup_(followed_release) struct followed end = FOLLOWED_INIT;

	if (walk_begin(&w, root_fd, dir, name) == 0)
		(void)walk_run(&w, &end);
	return w.left;
}

/* Ends at the directory that the walk is in. */
static int arrive_in(struct walk *w, struct statx *ret_stx)
{
	if (ret_stx)
		*ret_stx = w->at;
	return take_fd(&w->dir);
}

int opener_find(const char *path, uint64_t own_dev, int mountinfo,
		struct statx *ret_stx)
{
	_cleanup_(walk_release) struct walk w = {
		.dir = -1,
		.own_dev = own_dev,
		.mountinfo = mountinfo,
	};
	_cleanup_(followed_release) struct followed end = FOLLOWED_INIT;
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_CACHED,
	};
	int r;

	/* From the kernel's cache only: no file system gets a request. */
	r = enter(&w,
		  (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
	if (r == 0 || r == -EXDEV)
		return r < 0 ? r : arrive_in(&w, ret_stx);
	r = enter(&w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (r == 0) {
		w.path = strdup(path);
		r = w.path ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	w.rest = w.path + strspn(w.path, "/");
	r = walk_run(&w, &end);
	/* The path ends at a directory, and the walk is in it. */
	if (r == -EISDIR)
		return arrive_in(&w, ret_stx);
	return r == 0 || r == -EINVAL ? -ENOTDIR : r;
}
