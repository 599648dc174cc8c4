/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"

/* How often a file that is locked, or removed meanwhile, is opened again. */
#define TRIES 50

static int complain(const char *path, int err, struct diag *diag)
{
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "--pidfile=%s", path) < 0)
		return -ENOMEM;
	/* A link, or what open_locked found. */
	if (err == -ELOOP || err == -EINVAL)
		return diag_set(
			diag, err, option,
			"not a regular file; give a path where one can be made");
	if (err == -EEXIST)
		return diag_set(
			diag, err, option,
			"contains something other than a process id; give another file");
	return diag_set(diag, err, option, NULL);
}

int pidfile_open(struct pidfile *pidfile, const char *path, struct diag *diag)
{
	_cleanup_free_ char *for_dir = NULL;
	_cleanup_free_ char *for_name = NULL;

	if (!path)
		return 0;
	for_dir = strdup(path);
	for_name = strdup(path);
	if (!for_dir || !for_name)
		return -ENOMEM;
	pidfile->dir_fd = open(dirname(for_dir),
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pidfile->dir_fd < 0)
		return complain(path, -errno, diag);
	pidfile->path = strdup(path);
	pidfile->name = strdup(basename(for_name));
	return pidfile->path && pidfile->name ? 0 : -ENOMEM;
}

static void pid_text(char text[static 32])
{
	snprintf(text, 32, "%ld\n", (long)getpid());
}

/* Whether the name still leads to the open file. */
static bool is_there(const struct pidfile *pidfile, int fd)
{
	struct stat there;
	struct stat ours;

	return fstat(fd, &ours) == 0 &&
	       fstatat(pidfile->dir_fd, pidfile->name, &there,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_ino == ours.st_ino && there.st_dev == ours.st_dev;
}

/*
 * Opens and locks the file. A process holds the lock while it writes or removes
 * the file, so that none removes a file that another has just written. Goes on
 * without the lock if there are no locks, or another process holds it for long.
 */
static int open_locked(const struct pidfile *pidfile, int *ret_fd)
{
	const struct timespec tick = { .tv_nsec = 10000000 };

	for (int tries = 0;; tries++) {
		_cleanup_close_ int fd = openat(pidfile->dir_fd, pidfile->name,
						O_RDWR | O_CREAT | O_NOFOLLOW |
							O_NONBLOCK | O_CLOEXEC,
						0644);
		struct stat st;
		int r;

		if (fd < 0)
			return -errno;
		/* Once it is made, a failure would leave it there: go on. */
		r = fstat(fd, &st) < 0 ? -errno : 0;
		if (r == 0 && !S_ISREG(st.st_mode))
			return -EINVAL;
		if (r == 0 &&
		    (flock(fd, LOCK_EX | LOCK_NB) == 0 ||
		     errno != EWOULDBLOCK) &&
		    is_there(pidfile, fd))
			tries = TRIES;
		if (tries >= TRIES) {
			if (r == 0)
				*ret_fd = take_fd(&fd);
			return r;
		}
		nanosleep(&tick, NULL);
	}
}

/* -EEXIST: the file is neither empty nor a number, and is left alone. */
static int check_content(int fd)
{
	char text[16] = ""; /* more than the longest number */
	ssize_t n = io_pread(fd, text, sizeof(text) - 1, 0);
	size_t digits = strspn(text, "0123456789");
	size_t end = digits + (digits > 0 && text[digits] == '\n');

	if (n < 0)
		return (int)n;
	return end == (size_t)n && end < sizeof(text) - 1 ? 0 : -EEXIST;
}

int pidfile_write(struct pidfile *pidfile, struct diag *diag)
{
	char text[32];
	int r;

	if (!pidfile->path)
		return 0;
	r = open_locked(pidfile, &pidfile->fd);
	if (r == 0)
		r = check_content(pidfile->fd);
	if (r < 0)
		return complain(pidfile->path, r, diag);
	pid_text(text);
	r = ftruncate(pidfile->fd, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = io_pwrite(pidfile->fd, text, strlen(text), 0);
	flock(pidfile->fd, LOCK_UN);
	return r < 0 ? complain(pidfile->path, r, diag) : 0;
}

void pidfile_end(struct pidfile *pidfile)
{
	char text[32];
	char found[33] = "";
	bool is_ours = false;

	if (pidfile->fd >= 0) {
		pid_text(text);
		flock(pidfile->fd, LOCK_EX | LOCK_NB);
		/* What fails once may not fail again. */
		for (int i = 0; i < TRIES && !is_ours; i++)
			is_ours = io_pread(pidfile->fd, found,
					   sizeof(found) - 1, 0) >= 0 &&
				  (!*found || strcmp(found, text) == 0) &&
				  is_there(pidfile, pidfile->fd);
		if (is_ours)
			unlinkat(pidfile->dir_fd, pidfile->name, 0);
	}
	free(pidfile->path);
	free(pidfile->name);
	base_closep(&pidfile->fd);
	base_closep(&pidfile->dir_fd);
	*pidfile = (struct pidfile)PIDFILE_INIT;
}
