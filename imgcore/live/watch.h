/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_WATCH_H
#define LIVE_WATCH_H

/*
 * Watches on directories. The kernel queues an event within the call that
 * changes something, so who drains the queue has seen every change that was
 * over before. A thread drains it as well, so that it seldom overflows.
 *
 * What is written through a mapping of a file shows when that is given up, and
 * what is written through a name outside of the directories, never: reading
 * such a file finds out (image.h).
 *
 * Threading: any thread may call watch_add and watch_take at any time.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "live/numbers.h"

/* So many names are kept for people to read. */
#define WATCH_NAMES 100u

/* An entry of a watched directory that changed; "": the directory itself. */
struct watch_name {
	int32_t watch;
	uint32_t mask; /* of all its events */
	char *name;
};

/* What has changed. */
struct watch_changes {
	struct numbers watches;
	bool all; /* events were lost: anything may have */
	bool written; /* bytes of some file were */
	struct {
		struct watch_name *items;
		size_t count, size;
	} names; /* the first of them, in their order */
	struct numbers known; /* hashes of all names */
};

/* 0, or -ENOMEM: then *to says that anything may have changed. */
int watch_changes_add(struct watch_changes *to,
		      const struct watch_changes *from);
int watch_changes_note(struct watch_changes *changes, int32_t watch,
		       uint32_t mask, const char *name);
void watch_changes_clear(struct watch_changes *changes);
void watch_changes_release(struct watch_changes *changes);

struct watch {
	int fd; /* inotify; -1: there is none */
	int stop_fd; /* readable: the thread is to end */
	bool has_thread;
	pthread_t thread;
	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	bool overflow; /* events were lost */
	const char *reason; /* why a directory could not be watched */
	struct watch_changes seen; /* since they were last taken */
	struct numbers held; /* all watches */
};

/*
 * For directories of the file system of src_fd. 0 or -ENOMEM: what cannot be
 * watched is not watched.
 */
int watch_init(struct watch *watch, int src_fd);
/*
 * Starts the thread. Where there is none, all is as right, but events may be
 * lost more often.
 */
void watch_start(struct watch *watch);
void watch_release(struct watch *watch);
/* A watch, or TREE_UNWATCHED. */
int32_t watch_add(struct watch *watch, int dirfd);
/* Has a directory as changed. */
void watch_note(struct watch *watch, int32_t number);
/* Adds what has changed until now to *changes: 0 or -ENOMEM. */
int watch_take(struct watch *watch, struct watch_changes *changes);
/* Gives up all watches but those in keep, which is sorted. */
void watch_prune(struct watch *watch, const struct numbers *keep);
/* Whether events were lost since this was last asked. */
bool watch_overflow(struct watch *watch);
/*
 * Why directories were not watched since this was last asked; NULL: all were.
 */
const char *watch_reason(struct watch *watch);
/* Whether all changes to the file system of fd are made by this kernel. */
bool watch_is_local(int fd);

#endif
