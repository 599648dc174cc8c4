/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/mountinfo.h"
#include "base/spawn.h"
#include "imgcore/diag.h"
#include "path.h"
#include "tree/mount_type.h"

/* Dead mounts on top of each other that a start takes away. */
#define MAX_STALE 16
/* How long fusermount3 may take, and its end by SIGKILL. */
#define FUSERMOUNT_MS 10000
#define KILLED_MS     1000

/* Since Linux 6.8; the headers may be older. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif
#ifndef SYS_statmount
#ifdef __alpha__
#define SYS_statmount 567
#else
#define SYS_statmount 457
#endif
#endif

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/*
 * Device, mount and whether it is the mount's root, without a question to the
 * server: an empty mask gives them even of another user's mount.
 */
static int stat_quiet(int fd, struct statx *ret_st)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, ret_st) < 0)
		return -errno;
	return 0;
}

/* ---- taking a mount away ---- */

/* What an ordinary user may unmount, fusermount3 does, being set-uid. */
static int run_fusermount(const char *path)
{
	const char *argv[] = {
		"fusermount3", "-u", "-q", "-z", "--", path, NULL
	};
	pid_t pid;
	int status;
	int r = spawn_tool(argv, -1, -1, &pid);

	if (r < 0)
		return r;
	r = deadline_wait_child(pid, FUSERMOUNT_MS, &status);
	if (r == -ETIMEDOUT) {
		kill(pid, SIGKILL);
		deadline_wait_child(pid, KILLED_MS, &status);
	}
	if (r < 0)
		return r;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/*
 * Detaches the mount whose root is fd. umount2 uses the descriptor, so it does
 * not hit another mount if the directory was renamed or the mount is gone. Only
 * a mount made over it at this moment would be detached instead: the kernel
 * always takes the topmost. fusermount3 takes a path.
 */
static int detach(int fd, const char *path)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (umount2(link, MNT_DETACH) == 0)
		return 0;
	if (errno == ENOENT && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? run_fusermount(path) : -errno;
}

int mountpoint_detach_fuse(const char *path)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW |
						    O_CLOEXEC);
	struct statx st;
	int r = fd < 0 ? -errno : stat_quiet(fd, &st);

	if (r < 0)
		return r;
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    mountinfo_find(&entry, -1, st.stx_mnt_id) < 0)
		return -EINVAL;
	return strncmp(entry.type, "fuse", 4) == 0 ? detach(fd, path) : -EBUSY;
}

/* ---- before the mount ---- */

static int open_directory(const char *path, int *ret_fd, struct diag *diag)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return diag_set(diag, -ENOENT, path,
				"no such directory; make it with mkdir");
	if (fd < 0 && errno == ENOTDIR)
		return diag_set(diag, -ENOTDIR, path,
				"not a directory; the disk needs an empty one");
	if (fd < 0)
		return diag_set(diag, -errno, path, NULL);
	*ret_fd = fd;
	return 0;
}

/* 0: no answer, the server is gone; 1: it lives; or a negative errno. */
static int server_lives(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS, &st) == 0)
		return 1;
	/* Another user's mount refuses, so somebody serves it. */
	if (errno == EACCES || errno == EPERM)
		return 1;
	return errno == ENOTCONN || errno == ECONNABORTED ? 0 : -errno;
}

/*
 * Looks at what is mounted on the directory itself. 0: nothing that keeps us
 * off; 1: a dead dirdisk, now unmounted: look again.
 */
static int check_mount(int fd, const char *path, struct diag *diag)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	struct statx st;
	int r = stat_quiet(fd, &st);

	if (r < 0)
		return diag_set(diag, r, path, NULL);
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    mountinfo_find(&entry, -1, st.stx_mnt_id) < 0 ||
	    strncmp(entry.type, "fuse", 4) != 0)
		return 0;
	r = server_lives(fd);
	if (r < 0)
		return diag_set(diag, r, path, NULL);
	if (r > 0 && strcmp(entry.type, DISK_FSTYPE) == 0)
		return diag_set(diag, -EBUSY, path,
				"already mounted; fusermount3 -u ends it");
	if (r > 0)
		return 0;
	if (strcmp(entry.type, DISK_FSTYPE) != 0)
		return diag_set(diag, -ENOTCONN, path,
				"a dead mount of type %s; unmount it first",
				entry.type);
	r = detach(fd, entry.point);
	if (r < 0)
		return diag_set(
			diag, r, path,
			"a dead mount that cannot be unmounted; try fusermount3 -u");
	return 1;
}

static int identify(int fd, struct mountpoint *mnt, const char *path,
		    struct diag *diag)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return diag_set(diag, -errno, path, NULL);
	if (st.st_nlink == 0)
		return diag_set(diag, -ENOENT, path, "has been removed");
	r = path_of_fd(fd, path, &mnt->path);
	if (r < 0)
		return diag_set(diag, r, path, NULL);
	mnt->dev = st.st_dev;
	mnt->ino = st.st_ino;
	return 0;
}

int mountpoint_open(struct mountpoint *ret_mnt, const char *path,
		    struct diag *diag)
{
	for (int i = 0; i < MAX_STALE; i++) {
		_cleanup_close_ int fd = -1;
		struct mountpoint mnt = MOUNTPOINT_INIT;
		int r = open_directory(path, &fd, diag);

		if (r == 0)
			r = check_mount(fd, path, diag);
		if (r > 0)
			continue;
		if (r == 0)
			r = identify(fd, &mnt, path, diag);
		if (r < 0)
			return r;
		mnt.dir_fd = take_fd(&fd);
		*ret_mnt = mnt;
		return 0;
	}
	return diag_set(diag, -EBUSY, path,
			"dead mounts one over another; unmount them first");
}

int mountpoint_remount(const char *path, unsigned long flags, struct diag *diag)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	_cleanup_close_ int fd = -1;
	struct statx st;
	char link[64];
	int r = open_directory(path, &fd, diag);

	if (r < 0)
		return r;
	r = stat_quiet(fd, &st);
	if (r < 0)
		return diag_set(diag, r, path, NULL);
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    mountinfo_find(&entry, -1, st.stx_mnt_id) < 0 ||
	    strcmp(entry.type, DISK_FSTYPE) != 0)
		return diag_set(
			diag, -EINVAL, path,
			"no dirdisk is mounted there; mount it without remount");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (mount(NULL, link, NULL, MS_REMOUNT | flags, NULL) < 0)
		return diag_set(
			diag, -errno, path,
			"cannot be remounted: %s; unmount it and mount it again",
			strerror(errno));
	return 0;
}

/* Of two that start at the same time, one shall find the other's mount. */
static int lock_directory(struct mountpoint *mnt, const char *path,
			  struct diag *diag)
{
	struct stat st;

	mnt->lock_fd = open(mnt->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mnt->lock_fd < 0 || fstat(mnt->lock_fd, &st) < 0)
		return diag_set(diag, -errno, path, NULL);
	/* Where the file system has no locks, do without. */
	if ((flock(mnt->lock_fd, LOCK_EX | LOCK_NB) < 0 &&
	     errno == EWOULDBLOCK) ||
	    st.st_dev != mnt->dev || st.st_ino != mnt->ino)
		return diag_set(
			diag, -EBUSY, path,
			"another dirdisk mounts on it right now; give another directory");
	return 0;
}

int mountpoint_claim(struct mountpoint *mnt, const char *path,
		     struct diag *diag)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	int r = lock_directory(mnt, path, diag);

	if (r < 0)
		return r;
	dir = opendir(mnt->path);
	if (!dir)
		return diag_set(diag, -errno, path, NULL);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			return diag_set(diag, -ENOTEMPTY, path,
					"not empty; give an empty directory");
	}
	return 0;
}

void mountpoint_clear(struct mountpoint *mnt)
{
	free(mnt->path);
	base_closep(&mnt->dir_fd);
	base_closep(&mnt->lock_fd);
	base_closep(&mnt->connection);
	base_closep(&mnt->abort_fd);
	*mnt = (struct mountpoint)MOUNTPOINT_INIT;
}

/* ---- while it is mounted ---- */

/* The unique id of the mount, which is never reused; 0: not supported. */
static uint64_t unique_id(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID_UNIQUE, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID_UNIQUE))
		return 0;
	return st.stx_mnt_id;
}

/*
 * While the connection lives, the file system exists, and no other one has its
 * device number. It ends with the last mount, or when it is aborted.
 */
static bool connection_lives(const struct mountpoint *mnt)
{
	struct pollfd poll_fd = { .fd = mnt->connection };

	return mnt->connection >= 0 && poll(&poll_fd, 1, 0) == 0;
}

int mountpoint_adopt(struct mountpoint *mnt, struct diag *diag)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	_cleanup_close_ int fd =
		open(mnt->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx below;
	struct statx st;
	int r = fd < 0 ? -errno : stat_quiet(fd, &st);

	if (r == 0)
		r = stat_quiet(mnt->lock_fd, &below);
	if (r < 0)
		return diag_set(diag, r, mnt->path, NULL);
	/* A mount that was there before is not ours, even if it is "/". */
	if (!connection_lives(mnt) ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    st.stx_mnt_id == below.stx_mnt_id)
		return diag_set(
			diag, -ENOTCONN, mnt->path,
			"was unmounted by another program during the start; mount it again");
	/* The lock keeps another dirdisk away, but no other program. */
	if (mountinfo_find(&entry, -1, st.stx_mnt_id) == 0 &&
	    strncmp(entry.type, "fuse", 4) != 0)
		return diag_set(
			diag, -EBUSY, mnt->path,
			"something else was mounted over it meanwhile; unmount that, then run fusermount3 -u");
	mnt->major = st.stx_dev_major;
	mnt->minor = st.stx_dev_minor;
	mnt->mount_id = st.stx_mnt_id;
	mnt->unique_id = unique_id(fd);
	mnt->adopted = true;
	base_closep(&mnt->lock_fd);
	mnt->lock_fd = -1;
	return 0;
}

/* Opens the control file of our connection; -1: not there, not permitted. */
static int open_abort(const struct mountpoint *mnt)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort",
		 (unsigned)makedev(mnt->major, mnt->minor));
	return open(path, O_WRONLY | O_CLOEXEC);
}

void mountpoint_abort(const struct mountpoint *mnt)
{
	_cleanup_close_ int fd = mnt->adopted ? open_abort(mnt) : -1;

	/* If neither is permitted, the end of the worker does the same. */
	if (write(fd >= 0 ? fd : mnt->abort_fd, "1", 1) < 0)
		return;
}

void mountpoint_served(struct mountpoint *mnt)
{
	if (!mnt->unique_id)
		return;
	base_closep(&mnt->connection);
	mnt->connection = -1;
}

/*
 * Whether fd is the root of our mount. Without a unique id, a dead dirdisk with
 * our numbers counts as ours: any start would unmount it too.
 */
static bool is_ours(const struct mountpoint *mnt, int fd)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	struct statx st;

	if (mnt->unique_id)
		return unique_id(fd) == mnt->unique_id;
	return stat_quiet(fd, &st) == 0 && st.stx_dev_major == mnt->major &&
	       st.stx_dev_minor == mnt->minor &&
	       st.stx_mnt_id == mnt->mount_id &&
	       (connection_lives(mnt) ||
		(mountinfo_find(&entry, -1, mnt->mount_id) == 0 &&
		 strcmp(entry.type, DISK_FSTYPE) == 0 &&
		 server_lives(fd) == 0));
}

/*
 * Finds the mount that has our numbers, as a hint. The path of any other mount
 * is not used, since that may wait for its server.
 */
static int find_ours(const struct mountpoint *mnt, struct mountinfo *ret_entry)
{
	struct mountinfo entry = { 0 };
	int r = mountinfo_find(&entry, -1, mnt->mount_id);

	if (r == 0 && (entry.major != mnt->major || entry.minor != mnt->minor))
		r = -ENOENT;
	if (r < 0)
		mountinfo_clear(&entry);
	else
		*ret_entry = entry;
	return r;
}

/* Whether our mount is still there, reachable by its path or not. */
static bool is_mounted(const struct mountpoint *mnt)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	struct {
		uint32_t size, spare;
		uint64_t id, wanted;
	} request = { .size = sizeof(request), .id = mnt->unique_id };
	uint64_t answer[64];

	if (find_ours(mnt, &entry) < 0)
		return false;
	if (!mnt->unique_id)
		return connection_lives(mnt);
	return syscall(SYS_statmount, &request, answer, sizeof(answer), 0) ==
		       0 ||
	       errno != ENOENT;
}

int mountpoint_unmount(struct mountpoint *mnt, struct diag *diag)
{
	_cleanup_(mountinfo_clear) struct mountinfo entry = { 0 };
	const char *path = mnt->path;
	bool found;
	int r = 0;
	int fd;

	if (!mnt->adopted && mnt->connection < 0)
		return 0;
	if (!mnt->adopted)
		r = mountpoint_adopt(mnt, diag);
	if (r < 0)
		return r == -ENOTCONN ? 0 : r;
	/* A directory above it may have been renamed since. */
	if (find_ours(mnt, &entry) == 0)
		path = entry.point;
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	found = fd >= 0 && is_ours(mnt, fd);
	/* Once it is detached, another one may get the device number. */
	if (found && mnt->abort_fd < 0)
		mnt->abort_fd = open_abort(mnt);
	if (found)
		r = detach(fd, path);
	base_closep(&fd);
	/* Another program may have unmounted it meanwhile. */
	if ((!found || r < 0) && is_mounted(mnt))
		return found ? diag_set(
				       diag, r, path,
				       "cannot be unmounted: %s; try fusermount3 -u",
				       strerror(-r))
			     : diag_set(
				       diag, -EBUSY, path,
				       "cannot be unmounted, since something else is mounted over it; unmount that, then run fusermount3 -u");
	mnt->adopted = false;
	base_closep(&mnt->connection);
	mnt->connection = -1;
	return 0;
}
