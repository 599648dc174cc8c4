/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mount_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/math.h"
#include "base/text.h"
#include "imgcore/diag.h"
#include "mountpoint.h"

/* How long a fusermount3 that nobody can end may take to mount. */
#define PATIENCE_MS 5000

int mount_dir_make(char **ret_path, int *ret_fd, struct diag *diag)
{
	const char *const dirs[] = { getenv("XDG_RUNTIME_DIR"),
				     getenv("TMPDIR"), "/tmp" };
	int err = ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *full = NULL;
		_cleanup_free_ char *path = NULL;

		if (dirs[i] && *dirs[i])
			full = realpath(dirs[i], NULL);
		if (!full) {
			err = dirs[i] && *dirs[i] ? errno : err;
			continue;
		}
		if (text_format(&path, "%s/dirdisk.XXXXXX",
				strcmp(full, "/") == 0 ? "" : full) < 0)
			return diag_set(diag, -ENOMEM, NULL, NULL);
		if (mkdtemp(path)) {
			*ret_fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW |
						     O_CLOEXEC);
			if (*ret_fd >= 0) {
				*ret_path = take_ptr(path);
				return 0;
			}
			err = errno;
			rmdir(path);
			continue;
		}
		err = errno;
	}
	return diag_set(
		diag, -err, "/tmp",
		"no directory can be made there: %s; set TMPDIR to one where that is possible",
		strerror(err));
}

/*
 * Whether the path still leads to that directory: asked without a request to
 * what is mounted there. While fd is open, its inode number is not reused.
 */
static bool is_same(const char *path, int fd)
{
	struct statx there;
	struct stat made;

	return fd < 0 ||
	       (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW,
		      STATX_INO, &there) == 0 &&
		fstat(fd, &made) == 0 && there.stx_ino == made.st_ino &&
		makedev(there.stx_dev_major, there.stx_dev_minor) ==
			made.st_dev);
}

int mount_dir_remove(const char *path, int fd, struct diag *diag)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	int64_t end = deadline_now_ms() + PATIENCE_MS;

	for (;;) {
		int r = mountpoint_detach_fuse(path);

		if (r == -ENOENT)
			return 0;
		if (r == -EBUSY || (r == -EINVAL && !is_same(path, fd)))
			return diag_set(
				diag, -EBUSY, path,
				"something else is mounted there, or has replaced it, and was left alone; unmount it, then remove the directory");
		/* -EINVAL: nothing is mounted there. */
		if (r == -EINVAL && rmdir(path) == 0)
			return 0;
		if (r == -EINVAL)
			r = -errno;
		/* A mount may still be on its way. */
		if (r != 0 && r != -EBUSY && r != -ENOTCONN && r != -EPERM)
			return diag_set(diag, r, path,
					"cannot be removed: %s; see what it is",
					strerror(-r));
		if (deadline_now_ms() > end)
			return diag_set(
				diag, r ? r : -EBUSY, path,
				"cannot be unmounted; try fusermount3 -uz");
		if (r < 0)
			nanosleep(&tick, NULL);
	}
}
