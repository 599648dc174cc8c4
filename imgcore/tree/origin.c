/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct origin *origin_new(void)
{
	struct origin *origin = calloc(1, sizeof(*origin));

	if (origin)
		atomic_init(&origin->users, 1);
	return origin;
}

void origin_unref(struct origin *origin)
{
	struct origin_dir *dir;

	if (!origin || atomic_fetch_sub(&origin->users, 1) > 1)
		return;
	dir = origin->dir;
	if (origin->content)
		origin->content->release(origin->content);
	if (dir && atomic_fetch_sub(&dir->users, 1) == 1) {
		close(dir->fd);
		free(dir);
	}
	free(origin->path);
	free(origin);
}

int origin_set_dir(struct origin *origin, int dirfd, const struct stat *st)
{
	struct origin_dir *dir = malloc(sizeof(*dir));

	if (!dir)
		return -ENOMEM;
	dir->dev = st->st_dev;
	dir->ino = st->st_ino;
	atomic_init(&dir->users, 1);
	dir->fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (dir->fd < 0) {
		int err = -errno;

		free(dir);
		return err;
	}
	origin->dir = dir;
	return 0;
}

/* Should a fifo have taken its place, do not wait for a writer. */
int origin_open(const struct origin *origin)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(origin->dir->fd, origin->path, flags | O_NOATIME);

	/* Only its owner may read a file without touching its access time. */
	if (fd < 0 && errno == EPERM)
		fd = openat(origin->dir->fd, origin->path, flags);
	return fd < 0 ? -errno : fd;
}
