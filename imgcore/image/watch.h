/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_WATCH_H
#define IMAGE_WATCH_H

/*
 * Watches: on directories, and on single files. The kernel queues an event
 * within the call that changes something, so who drains the queue has seen
 * every change that was over before. A thread drains it as well, so that it
 * seldom overflows.
 *
 * A directory tells of what is done through the names in it. A file's own watch
 * tells of all that is done to it: through a name elsewhere, or a mapping,
 * which shows when that is given up. While a mapping is there it shows nowhere,
 * but that somebody has the file open for writing can be known (io_has_writer).
 *
 * Ownership: counted, as images outlive what made them.
 * Threading: any thread may call any function at any time, but for watch_start
 * and watch_stop.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/numbers.h"
#include "image/writes.h"

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
	struct numbers watches; /* of directories */
	struct numbers files; /* those of single files */
	uint64_t moment; /* when it was last asked; see watch_unwritten */
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

enum watch_mode {
	WATCH_AUTO, /* what can be watched */
	WATCH_NONE,
};

/* A file that is watched itself, by several images maybe. */
struct watch_file {
	int32_t number;
	uint32_t users;
};

struct watch {
	atomic_uint users;
	enum watch_mode mode;
	bool attended; /* a thread is wanted */
	atomic_bool full; /* there are too few watches: none are added */
	int fd; /* inotify; -1: there is none */
	int stop_fd; /* readable: the thread is to end */
	int limit_fd[2]; /* the files that say how many watches there may be */
	bool has_thread;
	pthread_t thread;
	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	bool overflow; /* events were lost */
	uint64_t limit; /* how many there might be when that was last read */
	size_t taken; /* when it became full */
	const char *reason; /* why a directory could not be watched */
	struct watch_changes seen; /* since they were last taken */
	struct numbers held; /* all watches of directories */
	struct {
		struct watch_file *items;
		size_t count, size;
	} files; /* sorted by number */
	struct numbers opened; /* files that somebody may be writing to */
	struct numbers writers; /* those of them that somebody was */
	bool blind; /* mappings write without another time */
	struct writes writes;
};

/*
 * For directories of the file system of src_fd. 0 or -ENOMEM: what cannot be
 * watched is not watched.
 */
int watch_new(struct watch **ret_watch, int src_fd, enum watch_mode mode);
/*
 * Another one, for another directory, takes the place of *watch, which goes on
 * for the images that have it. 0, or -ENOMEM: *watch is as it was.
 */
int watch_renew(struct watch **watch, int src_fd);
struct watch *watch_ref(struct watch *watch);
/* NULL is allowed. */
void watch_unref(struct watch *watch);
/*
 * Starts the thread. Where there is none, all is as right, but events may be
 * lost more often.
 */
void watch_start(struct watch *watch);
/* Ends it. */
void watch_stop(struct watch *watch);
/* A watch, or TREE_UNWATCHED. */
int32_t watch_add(struct watch *watch, int dirfd);
/* The file system of fd, other than that of src_fd, is watched too. */
void watch_see(struct watch *watch, int fd);
/* Has a directory as changed. */
void watch_note(struct watch *watch, int32_t number);
/* Adds what has changed until now to *changes: 0 or -ENOMEM. */
int watch_take(struct watch *watch, struct watch_changes *changes);
/* Gives up all watches of directories but those in keep, which is sorted. */
void watch_prune(struct watch *watch, const struct numbers *keep);
/* Whether events were lost since this was last asked. */
bool watch_overflow(struct watch *watch);
/*
 * Why directories were not watched since this was last asked; NULL: all were.
 */
const char *watch_reason(struct watch *watch);
/* Whether all changes to the file system of fd are made by this kernel. */
bool watch_is_local(int fd);

/*
 * Too few watches for all directories are of no use, and other programs of the
 * user need some: true where there were too few, and all are given back then.
 */
bool watch_give_back(struct watch *watch);
/*
 * Whether so many may be had now, as the limit was raised, or they are fewer
 * than there were before; then they are added again from here on.
 */
bool watch_may_retry(struct watch *watch, size_t needed);

/*
 * Watches an open file, by its inode: a number, or TREE_UNWATCHED. What is done
 * to it counts from then on. watch may be NULL.
 */
int32_t watch_add_file(struct watch *watch, int fd);
/* Once for each watch_add_file; before fd is closed. */
void watch_remove_file(struct watch *watch, int32_t number);
/* Whether a file could be watched and is not. */
bool watch_misses_file(struct watch *watch, int32_t number);
/* The moment that it is, for watch_unwritten. */
uint64_t watch_moment(struct watch *watch);
/*
 * Moves the files that have been opened since this was last asked: whether
 * somebody can write to them is to be found out. One that somebody can is put
 * back.
 */
int watch_take_opened(struct watch *watch, struct numbers *ret_opened);
void watch_put_opened(struct watch *watch, int32_t number);

/* Whether what was drained so far told of a write to a file since a moment. */
bool watch_told_of(struct watch *watch, int32_t number, uint64_t since);

enum watch_verdict {
	WATCH_UNWRITTEN,
	WATCH_WRITTEN, /* or somebody is about to */
	WATCH_UNKNOWN, /* events were lost, or it cannot be known who writes */
};

/*
 * Whether bytes of an open file were written since a moment. name: of the
 * file in the directory of the watch; "" and 0 for a file's own watch.
 */
enum watch_verdict watch_unwritten(struct watch *watch, int fd, int32_t number,
				   const char *name, size_t len,
				   uint64_t since);

#endif
