/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_WATCH_H
#define IMAGE_WATCH_H

/*
 * inotify watches on directories and on single files. The kernel queues an
 * event within the call that changes something, so draining the queue shows
 * every change that ended before. A thread drains it as well, so that it seldom
 * overflows.
 *
 * The watch of a directory reports changes made through the names in it. The
 * watch of a file reports all changes of it: also those through a name
 * elsewhere, and through a mapping, when the mapping ends. Until then no event
 * reports them, but io_has_writer tells that a process has the file open for
 * writing.
 *
 * Ownership: counted, since images use it after `live` has ended.
 * Threading: any thread may call any function at any time, but for watch_start
 * and watch_stop.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/numbers.h"
#include "image/writes.h"

/* Limit of names that are kept for messages. */
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
	uint64_t moment; /* of the last watch_take; see watch_unwritten */
	bool all; /* events were lost: anything may have changed */
	bool written; /* bytes of some file were written */
	struct {
		struct watch_name *items;
		size_t count, size;
	} names; /* the first of them, in their order */
	struct numbers known; /* hashes of all names */
};

/* 0, or -ENOMEM: then `all` is set in *to. */
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

/* A file that has a watch, which several images may use. */
struct watch_file {
	int32_t number;
	uint32_t users;
};

struct watch {
	atomic_uint users;
	enum watch_mode mode;
	bool wants_thread; /* a thread is wanted */
	atomic_bool full; /* too few watches are free: none are added */
	int fd; /* inotify; -1: there is none */
	int stop_fd; /* readable: the thread is to end */
	int limit_fd[2]; /* files with the limits of watches */
	bool has_thread;
	pthread_t thread;
	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	bool overflow; /* events were lost */
	uint64_t limit; /* of watches, as last read */
	size_t taken; /* watches held when it became full */
	const char *reason; /* why a directory could not be watched */
	struct watch_changes seen; /* since they were last taken */
	struct numbers held; /* all watches of directories */
	struct {
		struct watch_file *items;
		size_t count, size;
	} files; /* sorted by number */
	struct numbers opened; /* files that a process may be writing to */
	struct numbers writers; /* those of them that had a writer */
	bool mmap_keeps_times; /* writes through mappings change no times */
	struct writes writes;
};

/*
 * Makes a watch for directories of the file system of src_fd. 0 or -ENOMEM.
 * What cannot be watched is not an error.
 */
int watch_new(struct watch **ret_watch, int src_fd, enum watch_mode mode);
/*
 * Replaces *watch by one for another directory; the old one goes on for the
 * images that hold it. 0, or -ENOMEM: *watch is as it was.
 */
int watch_renew(struct watch **watch, int src_fd);
struct watch *watch_ref(struct watch *watch);
/* NULL is allowed. */
void watch_unref(struct watch *watch);
/*
 * Starts the thread. Without it results are the same, but events may be lost
 * more often.
 */
void watch_start(struct watch *watch);
/* Ends it. */
void watch_stop(struct watch *watch);
/* A watch, or TREE_UNWATCHED. */
int32_t watch_add(struct watch *watch, int dirfd);
/* The file system of fd, other than that of src_fd, is watched too. */
void watch_see(struct watch *watch, int fd);
/* Marks a directory as changed. */
void watch_note(struct watch *watch, int32_t number);
/*
 * Adds what has changed until now to *changes: 0 or -ENOMEM. queued: false if
 * poll(2) found nothing to read from watch->fd.
 */
int watch_take(struct watch *watch, bool queued, struct watch_changes *changes);
/* Gives up all watches of directories but those in keep, which is sorted. */
void watch_prune(struct watch *watch, const struct numbers *keep);
/* Whether events were lost since the last call. */
bool watch_overflow(struct watch *watch);
/*
 * Why directories were not watched since the last call; NULL: all were.
 */
const char *watch_reason(struct watch *watch);
/* Whether all changes to the file system of fd are made by this kernel. */
bool watch_is_local(int fd);

/*
 * Removes all watches, and returns true, if there are too few for all
 * directories: they would be of no use, and other programs of the user need
 * some.
 */
bool watch_give_back(struct watch *watch);
/*
 * Whether `needed` watches may be added now, since the limit was raised or they
 * are fewer than before. If so, watches are added again from now on.
 */
bool watch_may_retry(struct watch *watch, size_t needed);

/*
 * Watches an open file, by its inode, from now on: a number, or TREE_UNWATCHED.
 * watch may be NULL.
 */
int32_t watch_add_file(struct watch *watch, int fd);
/* To be called once for each watch_add_file, before fd is closed. */
void watch_remove_file(struct watch *watch, int32_t number);
/* Whether a file could be watched and is not. */
bool watch_misses_file(struct watch *watch, int32_t number);
/* The current moment, for watch_unwritten. */
uint64_t watch_moment(struct watch *watch);
/*
 * Moves the files that have been opened since the last call to *ret_opened. The
 * caller checks whether a process can write to them, and puts back those that
 * have a writer.
 */
int watch_take_opened(struct watch *watch, struct numbers *ret_opened);
void watch_put_opened(struct watch *watch, int32_t number);

/* Whether the events drained so far report a write to a file since a moment. */
bool watch_file_written(struct watch *watch, int32_t number, uint64_t since);

enum watch_verdict {
	WATCH_UNWRITTEN,
	WATCH_WRITTEN, /* or a process has it open for writing */
	WATCH_UNKNOWN, /* events were lost, or writers cannot be known */
};

/*
 * Whether bytes of an open file were written since a moment. name: of the
 * file in the directory of the watch; "" and 0 for a file's own watch.
 */
enum watch_verdict watch_unwritten(struct watch *watch, int fd, int32_t number,
				   const char *name, size_t len,
				   uint64_t since);

#endif
