/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_MOUNTS_H
#define LIVE_MOUNTS_H

/*
 * What is mounted below a directory: that appears empty, and no watch says so.
 * Threading: one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

struct mounts {
	int src_fd; /* the caller's */
	int fd; /* /proc/self/mountinfo; -1: not there, nothing is known */
	bool changed; /* since they were read */
	char **list; /* paths below the directory, sorted */
	size_t n;
};

/* 0 or -ENOMEM: where it cannot be known what is mounted, nothing is told. */
int mounts_init(struct mounts *mounts, int src_fd);
void mounts_release(struct mounts *mounts);
/* The same for another directory; mounts that are below it are not reported. */
int mounts_restart(struct mounts *mounts, int src_fd);
/*
 * If anything was mounted or unmounted anywhere since the last call (news: what
 * poll(2) found on mounts->fd, where POLLPRI was asked for), calls
 * changed(context, path) for each mount point that exists or existed: another
 * file system may have taken its place. path is relative to the directory. 0 or
 * a negative errno; the change is then reported by the next call.
 */
int mounts_look(struct mounts *mounts, short news,
		void (*changed)(void *context, const char *path),
		void *context);

#endif
