/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "fs/mountpoint.h"
#include "imgcore/diag.h"
#include "leash.h"
#include "say.h"

/* How long dirdisk may take to unmount; it has patience with its own. */
#define DISK_PATIENCE_MS  8000
#define MOUNT_PATIENCE_MS 5000

int place_open(const char *place, int *ret_dir_fd)
{
	int fd = open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_dir_fd = fd;
	return 0;
}

static int make_below(const char *dir, char **ret_place, int *ret_dir_fd)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *full = realpath(dir, NULL);
	int r;

	if (!full)
		return -errno;
	if (asprintf(&path, "%s/dirdisk-run.XXXXXX",
		     strcmp(full, "/") == 0 ? "" : full) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return -errno;
	r = place_open(path, ret_dir_fd);
	if (r < 0) {
		rmdir(path);
		return r;
	}
	*ret_place = take_ptr(path);
	return 0;
}

int place_make(char **ret_place, int *ret_dir_fd, struct diag *diag)
{
	const char *const dirs[] = { getenv("XDG_RUNTIME_DIR"),
				     getenv("TMPDIR"), "/tmp" };
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (dirs[i] && *dirs[i])
			r = make_below(dirs[i], ret_place, ret_dir_fd);
		if (r == 0)
			return 0;
	}
	return diag_set(
		diag, r, "/tmp",
		"no directory can be made there: %s; set TMPDIR to a place for it",
		strerror(-r));
}

static char *mark(const char *name, const char *place)
{
	char *text;

	return asprintf(&text, "%s=%s", name, place) < 0 ? NULL : text;
}

char *place_qemu_mark(const char *place)
{
	return mark("DIRDISK_PLACE", place);
}

char *place_disk_mark(const char *place)
{
	return mark("DIRDISK_SERVES", place);
}

static void pause_a_little(void)
{
	const struct timespec tick = { .tv_nsec = 5000000 };

	nanosleep(&tick, NULL);
}

/* Those who hold the disk first, then those who serve it. */
static void end_processes(const char *place)
{
	_cleanup_free_ char *qemu = place_qemu_mark(place);
	_cleanup_free_ char *disk = place_disk_mark(place);
	int64_t end = now_ms() + DISK_PATIENCE_MS;

	if (!qemu || !disk)
		return;
	leash_kill(qemu);
	leash_signal(disk, SIGTERM);
	while (leash_signal(disk, 0) && now_ms() < end)
		pause_a_little();
	leash_kill(disk);
}

/*
 * Whether the path leads to the directory that was made, without a request to
 * what is mounted there. While dir_fd is open, its inode number is not reused.
 */
static bool is_place(const char *place, int dir_fd)
{
	const int flags = AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW;
	struct statx there;
	struct stat made;

	return statx(AT_FDCWD, place, flags, STATX_INO, &there) == 0 &&
	       fstat(dir_fd, &made) == 0 && there.stx_ino == made.st_ino &&
	       makedev(there.stx_dev_major, there.stx_dev_minor) == made.st_dev;
}

int place_remove(const char *place, int dir_fd, struct diag *diag)
{
	int64_t end = now_ms() + MOUNT_PATIENCE_MS;
	int r;

	end_processes(place);
	/* A mount may still be on its way, by a helper that nobody can end. */
	for (;;) {
		r = mountpoint_detach_fuse(place);
		if (r == -ENOENT)
			return 0;
		if (r == -EBUSY || (r == -EINVAL && !is_place(place, dir_fd)))
			return diag_set(
				diag, -EBUSY, place,
				"something else is mounted there, or has replaced it, and was left alone; unmount it, then remove the directory");
		if (r == -EINVAL && rmdir(place) == 0)
			return 0;
		if (r == -EINVAL && errno != EBUSY && errno != ENOTCONN)
			return diag_set(diag, -errno, place,
					"cannot be removed: %s; see what it is",
					strerror(errno));
		if (now_ms() > end)
			return diag_set(
				diag, r == -EINVAL ? -EBUSY : r, place,
				"cannot be unmounted; try fusermount3 -uz");
		if (r < 0)
			pause_a_little();
	}
}
