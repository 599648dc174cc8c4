/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/pinned_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "image/watch.h"

/*
 * The descriptor can lead to no other file: size and times alone are compared.
 * The lock is taken only when the change time is not the one that was scanned.
 */
struct pinned_file {
	atomic_size_t users;
	int fd;
	struct watch *watch; /* or NULL */
	int32_t number; /* of its own watch */
	uint64_t moment; /* when that began */
	off_t size;
	struct timespec mtime;
	pthread_mutex_t lock; /* of the rest: as it was when last compared */
	struct timespec ctime;
	nlink_t nlink;
	bool stale;
};

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

int pinned_file_new(struct pinned_file **ret_file, int fd, struct watch *watch)
{
	struct pinned_file *f = malloc(sizeof(*f));
	uint64_t moment;
	int32_t number;
	struct stat st;

	if (!f)
		return -ENOMEM;
	moment = watch ? watch_moment(watch) : 0;
	number = watch_add_file(watch, fd);
	if (fstat(fd, &st) < 0) {
		int r = -errno;

		watch_remove_file(watch, number);
		free(f);
		return r;
	}
	*f = (struct pinned_file){
		.fd = fd,
		.watch = watch ? watch_ref(watch) : NULL,
		.number = number,
		.moment = moment,
		.size = st.st_size,
		.mtime = st.st_mtim,
		.ctime = st.st_ctim,
		.nlink = st.st_nlink,
	};
	atomic_init(&f->users, 1);
	pthread_mutex_init(&f->lock, NULL);
	*ret_file = f;
	return 0;
}

struct pinned_file *pinned_file_ref(struct pinned_file *f)
{
	atomic_fetch_add_explicit(&f->users, 1, memory_order_relaxed);
	return f;
}

bool pinned_file_unref(struct pinned_file *f)
{
	if (atomic_fetch_sub(&f->users, 1) > 1)
		return false;
	watch_remove_file(f->watch, f->number);
	watch_unref(f->watch);
	close(f->fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return true;
}

/*
 * The kernel changes the count of names and the change time one after the
 * other: looked at until they are at rest.
 */
static int look(const struct pinned_file *f, struct stat *st)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct stat last;
	int tries = 100;

	if (fstat(f->fd, st) < 0)
		return -errno;
	do {
		if (same_time(st->st_ctim, f->ctime))
			break;
		last = *st;
		nanosleep(&pause, NULL);
		if (fstat(f->fd, st) < 0)
			return -errno;
	} while ((st->st_nlink != last.st_nlink ||
		  !same_time(st->st_ctim, last.st_ctim)) &&
		 tries-- > 0);
	return 0;
}

/*
 * Looked at within the lock: what another thread saw before must not be taken
 * for what came after.
 */
static bool has_other_names_only(struct pinned_file *f)
{
	struct stat st;
	bool same, moved;

	pthread_mutex_lock(&f->lock);
	same = !f->stale && look(f, &st) == 0 && st.st_size == f->size &&
	       same_time(st.st_mtim, f->mtime);
	moved = same && !same_time(st.st_ctim, f->ctime);
	if (moved && st.st_nlink != f->nlink) {
		f->ctime = st.st_ctim;
		f->nlink = st.st_nlink;
	} else if (moved) {
		same = false;
	}
	f->stale = !same;
	pthread_mutex_unlock(&f->lock);
	return same;
}

static bool is_unwritten(struct pinned_file *f, const struct tree *tree,
			 tree_id node)
{
	if (!tree_same_but_ctime(tree, node, f->fd))
		return false;
	switch (watch_unwritten(f->watch, f->fd, f->number, "", 0, f->moment)) {
	case WATCH_UNWRITTEN:
		return true;
	case WATCH_WRITTEN:
		return false;
	case WATCH_UNKNOWN:
		return has_other_names_only(f);
	}
	return false;
}

int pinned_file_verify(struct pinned_file *file, const struct tree *tree,
		       tree_id node, struct diag *diag)
{
	if (tree_verify_host(tree, node, file->fd, NULL) == 0 ||
	    is_unwritten(file, tree, node))
		return 0;
	return tree_verify_host(tree, node, file->fd, diag);
}

bool pinned_file_is_watched(const struct pinned_file *file, struct watch *watch)
{
	return file->watch == watch && !watch_misses_file(watch, file->number);
}

bool pinned_file_written(struct pinned_file *file)
{
	return file->number >= 0 &&
	       watch_file_written(file->watch, file->number, file->moment);
}

int32_t pinned_file_watch(const struct pinned_file *file)
{
	return file->number;
}

int pinned_file_descriptor(const struct pinned_file *file)
{
	return file->fd;
}
