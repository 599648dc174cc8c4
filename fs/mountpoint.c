/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "path.h"

#define FSTYPE "fuse.dirdisk"
/* Dead mounts on top of each other that a start takes away. */
#define MAX_STALE 16

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

/* ---- what is mounted ---- */

struct mount_entry {
	uint64_t id;
	uint32_t major;
	uint32_t minor;
	char *point;
	char *type;
};

static void mount_entry_clear(struct mount_entry *entry)
{
	free(entry->point);
	free(entry->type);
	*entry = (struct mount_entry){ 0 };
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* One line of mountinfo; false if it is not of the mount `id`. */
static bool parse_mount(const char *line, uint64_t id,
			struct mount_entry *ret_entry)
{
	const char *type = strstr(line, " - ");
	struct mount_entry entry = { 0 };

	if (type &&
	    sscanf(line, "%" SCNu64 " %*s %" SCNu32 ":%" SCNu32 " %*s %ms",
		   &entry.id, &entry.major, &entry.minor, &entry.point) == 4 &&
	    entry.id == id && sscanf(type, " - %ms", &entry.type) == 1) {
		unescape(entry.point);
		*ret_entry = entry;
		return true;
	}
	mount_entry_clear(&entry);
	return false;
}

static int find_mount(uint64_t id, struct mount_entry *ret_entry)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		if (parse_mount(line, id, ret_entry))
			return 0;
	}
	return -ENOENT;
}

/* ---- taking a mount away ---- */

extern char **environ;

/* What an ordinary user may unmount, fusermount3 does, being set-uid. */
static int run_fusermount(const char *path)
{
	const char *argv[] = {
		"fusermount3", "-u", "-q", "-z", "--", path, NULL
	};
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int status;
	int r;

	sigemptyset(&none);
	r = posix_spawnattr_init(&attr);
	if (r)
		return -r;
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawnp(&pid, argv[0], NULL, &attr, (char *const *)argv,
			 environ);
	posix_spawnattr_destroy(&attr);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int mountpoint_detach(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(path);
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
	_cleanup_(mount_entry_clear) struct mount_entry entry = { 0 };
	struct statx st;
	int r = stat_quiet(fd, &st);

	if (r < 0)
		return diag_set(diag, r, path, NULL);
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    find_mount(st.stx_mnt_id, &entry) < 0 ||
	    strncmp(entry.type, "fuse", 4) != 0)
		return 0;
	r = server_lives(fd);
	if (r < 0)
		return diag_set(diag, r, path, NULL);
	if (r > 0 && strcmp(entry.type, FSTYPE) == 0)
		return diag_set(diag, -EBUSY, path,
				"already mounted; fusermount3 -u ends it");
	if (r > 0)
		return 0;
	if (strcmp(entry.type, FSTYPE) != 0)
		return diag_set(diag, -ENOTCONN, path,
				"a dead mount of type %s; unmount it first",
				entry.type);
	r = mountpoint_detach(entry.point);
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
		if (r == 0)
			*ret_mnt = mnt;
		return r;
	}
	return diag_set(diag, -EBUSY, path,
			"dead mounts one over another; unmount them first");
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
	base_closep(&mnt->lock_fd);
	*mnt = (struct mountpoint)MOUNTPOINT_INIT;
}

/* ---- while it is mounted ---- */

/* The mount that a path leads to now. */
static int stat_path(const char *path, struct statx *ret_st)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW |
						    O_CLOEXEC);

	return fd < 0 ? -errno : stat_quiet(fd, ret_st);
}

static bool is_ours(const struct mountpoint *mnt, const char *path)
{
	struct statx st;

	return stat_path(path, &st) == 0 && st.stx_dev_major == mnt->major &&
	       st.stx_dev_minor == mnt->minor && st.stx_mnt_id == mnt->mount_id;
}

int mountpoint_adopt(struct mountpoint *mnt, struct diag *diag)
{
	struct statx st;
	int r = stat_path(mnt->path, &st);

	if (r < 0) {
		mountpoint_detach(mnt->path);
		return diag_set(diag, r, mnt->path, NULL);
	}
	mnt->major = st.stx_dev_major;
	mnt->minor = st.stx_dev_minor;
	mnt->mount_id = st.stx_mnt_id;
	mnt->adopted = true;
	base_closep(&mnt->lock_fd);
	mnt->lock_fd = -1;
	return 0;
}

int mountpoint_unmount(struct mountpoint *mnt, struct diag *diag)
{
	_cleanup_(mount_entry_clear) struct mount_entry entry = { 0 };
	const char *path = mnt->path;
	int r;

	if (!mnt->adopted)
		return 0;
	/* A directory above it may have been renamed since. */
	if (find_mount(mnt->mount_id, &entry) == 0)
		path = entry.point;
	mnt->adopted = false;
	if (!is_ours(mnt, path))
		return 0;
	r = mountpoint_detach(path);
	if (r < 0)
		return diag_set(diag, r, path,
				"cannot be unmounted; try fusermount3 -u");
	return 0;
}
