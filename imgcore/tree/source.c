/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "tree/mount_type.h"

/*
 * Removes "." and empty names, and those ".." that lead out of the working
 * directory, whose path contains no symbolic links.
 */
static int make_absolute(const char *src, char **ret_path)
{
	bool relative = *src != '/';
	_cleanup_free_ char *path = NULL;
	char *end;

	if (relative) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);

		/* Otherwise it cannot be reached from the root. */
		if (!cwd || *cwd != '/')
			return cwd ? -ENOENT : -errno;
		path = malloc(strlen(cwd) + strlen(src) + 2);
		end = path ? stpcpy(path, cwd[1] ? cwd : "") : NULL;
	} else {
		end = path = malloc(strlen(src) + 2);
	}
	if (!path)
		return -ENOMEM;
	*end = '\0';
	while (*src) {
		size_t len = strcspn(src += strspn(src, "/"), "/");

		if (relative && len == 2 && strncmp(src, "..", 2) == 0) {
			end = strrchr(path, '/') ? strrchr(path, '/') : path;
			*end = '\0';
		} else if (len > 0 && !(len == 1 && *src == '.')) {
			relative = false;
			*end = '/';
			end = mempcpy(end + 1, src, len);
			*end = '\0';
		}
		src += len;
	}
	if (!*path)
		strcpy(path, "/");
	*ret_path = take_ptr(path);
	return 0;
}

int source_open(const char *src, int *ret_fd, char **ret_path,
		struct diag *diag)
{
	_cleanup_close_ int fd = open(src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	struct statx stx;
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return diag_set(diag, -ENOENT, src,
				"no such directory; give the tree to show");
	if (fd < 0 && errno == ENOTDIR)
		return diag_set(diag, -ENOTDIR, src,
				"not a directory; give the tree to show");
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_set(diag, -errno, src, NULL);
	if (st.st_nlink == 0)
		return diag_set(diag, -ENOENT, src, "has been removed");
	if (statx(fd, "", flags, STATX_BASIC_STATS | STATX_MNT_ID, &stx) == 0 &&
	    mount_type_is_disk(-1, &stx))
		return diag_set(
			diag, -EINVAL, src,
			"is the mount of a disk; give the tree that it shows");
	r = make_absolute(src, ret_path);
	if (r < 0)
		return diag_set(diag, r, src, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}
