/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "tree/follow.h"

struct opener *opener_ref(struct opener *opener)
{
	if (opener)
		atomic_fetch_add_explicit(&opener->users, 1,
					  memory_order_relaxed);
	return opener;
}

void opener_unref(struct opener *opener)
{
	if (opener && atomic_fetch_sub(&opener->users, 1) == 1)
		opener->release(opener);
}

/*
 * Opens a path with one openat2. A rename that raced with it is no reason to
 * fail. A name alone leads nowhere else: the kernel need not check that.
 */
static int open_step(int dirfd, const char *path, int flags)
{
	bool name = !strchr(path, '/') && strcmp(path, "..") != 0;
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = (name ? 0 : RESOLVE_BENEATH) | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd;
	int tries = 100;

	do {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && tries--)));
	return fd < 0 ? -errno : (int)fd;
}

/* Opens a path beneath a directory that may be longer than one call takes. */
static int open_beneath_as(int root_fd, const char *path, int flags)
{
	_cleanup_close_ int dir = -1;
	int at = root_fd;

	while (strlen(path) >= PATH_MAX) {
		char chunk[PATH_MAX];
		size_t len = PATH_MAX - 1;
		int fd;

		while (len > 0 && path[len] != '/')
			len--;
		if (len == 0)
			return -ENAMETOOLONG;
		memcpy(chunk, path, len);
		chunk[len] = '\0';
		fd = open_step(at, chunk, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return fd;
		base_closep(&dir);
		dir = at = fd;
		path += len + 1;
	}
	return open_step(at, path, flags);
}

static int open_beneath(int root_fd, const char *path, int flags)
{
	int fd;

	if (*path == '\0')
		path = ".";
	if (flags & O_PATH)
		return open_beneath_as(root_fd, path, flags);
	fd = open_beneath_as(root_fd, path, flags | O_NOATIME);
	/* Only its owner may read a file without touching its access time. */
	if (fd == -EPERM)
		fd = open_beneath_as(root_fd, path, flags);
	return fd;
}

/* Opens one name, which is no link and was checked. */
static int open_name(int dir, const char *name, int flags)
{
	int fd;

	flags |= O_NOFOLLOW | O_CLOEXEC;
	fd = openat(dir, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(dir, name, flags);
	return fd < 0 ? -errno : fd;
}

/* Opens name by name, so that our own mount is recognized before it is used. */
static int walk_across(int root_fd, const char *path, uint64_t own_dev,
		       int flags)
{
	_cleanup_close_ int above = -1;
	int dir = root_fd;

	for (;;) {
		_cleanup_close_ int fd = -1;
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		struct statx stx;
		int r;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len + (path[len] == '/');
		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = follow_look(fd, own_dev, &stx);
		if (r < 0)
			return r;
		if (S_ISLNK(stx.stx_mode))
			return -ELOOP;
		if (!S_ISDIR(stx.stx_mode))
			return *path || flags & O_DIRECTORY
				       ? -ENOTDIR
				       : open_name(dir, name, flags);
		if (*path == '\0')
			return flags & O_PATH ? take_fd(&fd)
					      : open_name(fd, ".", flags);
		base_closep(&above);
		dir = above = take_fd(&fd);
	}
}

int opener_open(struct opener *opener, int root_fd, const char *path,
		bool cross_mounts, uint64_t own_dev, int flags)
{
	int fd;

	if (opener && opener->open)
		return opener->open(opener, path, own_dev, flags);
	fd = open_beneath(root_fd, path, flags);
	return fd == -EXDEV && cross_mounts
		       ? walk_across(root_fd, path, own_dev, flags)
		       : fd;
}

int opener_open_link(struct opener *opener, int root_fd, const char *path,
		     uint64_t own_dev, int flags)
{
	_cleanup_(followed_release) struct followed target = FOLLOWED_INIT;
	_cleanup_close_ int dir = -1;
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *above =
		strndup(path, slash ? (size_t)(slash - path) : 0);
	const char *name = slash ? slash + 1 : path;
	struct statx link;
	int r;

	if (opener && opener->open_link)
		return opener->open_link(opener, path, own_dev, flags);
	if (!above)
		return -ENOMEM;
	dir = opener_open(NULL, root_fd, above, true, own_dev,
			  O_PATH | O_DIRECTORY);
	if (dir < 0)
		return dir;
	/* A file system that is mounted there by now gets no request. */
	if (statx(dir, name,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_UID, &link) < 0)
		return -errno;
	if (!S_ISLNK(link.stx_mode) || link.stx_uid != geteuid() ||
	    !follow_leads_out(root_fd, above, name, own_dev, -1))
		return -ENODEV;
	r = follow_resolve(dir, name, own_dev, -1, &target);
	if (r < 0)
		return r == -EINVAL || r == -EISDIR || r == -EXDEV ? -ENODEV
								   : r;
	return open_name(target.dirfd, target.name, flags);
}
