/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/threads.h"
#include "base/vec.h"
#include "imgcore/tree.h"

/*
 * A file that is written through a mapping says so when it is closed, and that
 * is when the last mapping has gone. What has no name any more does not matter.
 */
#define EVENTS                                                             \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | \
	 IN_ATTRIB | IN_CLOSE_WRITE | IN_ONLYDIR | IN_EXCL_UNLINK)

/* Room for some hundreds of events. */
#define BUFFER 65536u
/* The thread rests so long between one look and the next. */
#define REST_MS 10
/* Beyond this many names they are not told apart any more. */
#define KNOWN_MAX 65536u

/* ---- which file systems ---- */

/* By the numbers of linux/magic.h, which does not have them all. */
bool watch_is_local(int fd)
{
	static const uint32_t local[] = {
		0x0000ef53, /* ext2, ext3, ext4 */
		0x58465342, /* xfs */
		0x9123683e, /* btrfs */
		0x01021994, /* tmpfs */
		0x858458f6, /* ramfs */
		0x794c7630, /* overlay */
		0xf2f52010, /* f2fs */
		0x2fc12fc1, /* zfs */
		0xca451a4e, /* bcachefs */
		0x3153464a, /* jfs */
		0x52654973, /* reiserfs */
		0x00003434, /* nilfs2 */
		0x73717368, /* squashfs */
		0xe0f5e1e2, /* erofs */
		0x28cd3d45, /* cramfs */
		0x00009660, /* iso9660 */
		0x15013346, /* udf */
		0x00004d44, /* vfat */
		0x2011bab0, /* exfat */
		0x7366746e, /* ntfs3 */
		0x00011954, /* ufs */
		0x4244, /* hfs */
		0x482b, /* hfsplus */
		0x24051905, /* ubifs */
		0x72b6, /* jffs2 */
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		if ((uint32_t)st.f_type == local[i])
			return true;
	return false;
}

/* ---- what has changed ---- */

static void drop_names(struct watch_changes *changes)
{
	for (size_t i = 0; i < changes->names.count; i++)
		free(changes->names.items[i].name);
	changes->names.count = 0;
}

void watch_changes_clear(struct watch_changes *changes)
{
	drop_names(changes);
	numbers_clear(&changes->watches);
	numbers_clear(&changes->known);
	changes->all = false;
	changes->written = false;
}

void watch_changes_release(struct watch_changes *changes)
{
	drop_names(changes);
	vec_free(&changes->names);
	numbers_release(&changes->watches);
	numbers_release(&changes->known);
}

static int note_name(struct watch_changes *c, int32_t watch, uint32_t mask,
		     const char *name)
{
	uint64_t hash = XXH3_64bits_withSeed(name, strlen(name),
					     (uint64_t)watch);
	struct watch_name *n;

	for (size_t i = c->names.count; i-- > 0;) {
		n = &c->names.items[i];
		if (n->watch == watch && strcmp(n->name, name) == 0) {
			n->mask |= mask;
			return 0;
		}
	}
	if (c->known.count < KNOWN_MAX && numbers_add(&c->known, hash) < 0)
		return -ENOMEM;
	if (c->names.count >= WATCH_NAMES)
		return 0;
	n = vec_push(&c->names);
	if (!n)
		return -ENOMEM;
	n->watch = watch;
	n->mask = mask;
	n->name = strdup(name);
	if (n->name)
		return 0;
	c->names.count--;
	return -ENOMEM;
}

int watch_changes_note(struct watch_changes *c, int32_t watch, uint32_t mask,
		       const char *name)
{
	int r = numbers_add(&c->watches, (uint64_t)watch);

	return r < 0 ? r : note_name(c, watch, mask, name);
}

int watch_changes_add(struct watch_changes *to,
		      const struct watch_changes *from)
{
	int r = numbers_add_all(&to->watches, &from->watches);

	for (size_t i = 0; i < from->names.count && r == 0; i++) {
		const struct watch_name *n = &from->names.items[i];

		r = note_name(to, n->watch, n->mask, n->name);
	}
	if (r == 0)
		r = numbers_add_all(&to->known, &from->known);
	to->all |= from->all || r < 0;
	to->written |= from->written;
	numbers_sort(&to->watches);
	numbers_sort(&to->known);
	return r;
}

/* ---- the queue ---- */

/* An event that cannot be kept is one that was lost. */
static void take_event(struct watch *w, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		w->seen.all = true;
		w->overflow = true;
		return;
	}
	if (event->wd < 0 || event->mask & IN_IGNORED)
		return;
	w->seen.written |= (event->mask & IN_MODIFY) != 0;
	if (watch_changes_note(&w->seen, event->wd, event->mask,
			       event->len ? event->name : "") < 0)
		w->seen.all = true;
}

/* All that is there; the caller holds the lock. */
static void drain(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[BUFFER];

	while (w->fd >= 0) {
		ssize_t len = read(w->fd, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno != EAGAIN)
			w->seen.all = true;
		if (len <= 0)
			return;
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event = (void *)(buf + at);

			take_event(w, event);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

/* Sleeps until it is to end, or, with both, until there are events. */
static bool is_stopped(const struct watch *w, nfds_t n, int timeout)
{
	struct pollfd fds[2] = {
		{ .fd = w->stop_fd, .events = POLLIN },
		{ .fd = w->fd, .events = POLLIN },
	};

	return poll(fds, n, timeout) > 0 && fds[0].revents;
}

static void *watch_thread(void *context)
{
	struct watch *w = context;

	while (!is_stopped(w, 2, -1)) {
		pthread_mutex_lock(&w->mutex);
		drain(w);
		pthread_mutex_unlock(&w->mutex);
		if (is_stopped(w, 1, REST_MS))
			break;
	}
	return NULL;
}

void watch_start(struct watch *w)
{
	if (w->fd >= 0 && w->stop_fd >= 0 && !w->has_thread)
		w->has_thread = threads_start(&w->thread, watch_thread, w) == 0;
}

int watch_init(struct watch *w, int src_fd)
{
	*w = (struct watch){ .fd = -1, .stop_fd = -1 };
	if (pthread_mutex_init(&w->mutex, NULL) != 0)
		return -ENOMEM;
	if (!watch_is_local(src_fd)) {
		w->reason = "may be changed from elsewhere";
		return 0;
	}
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		w->reason =
			"no inotify instance is left (fs.inotify.max_user_instances)";
	else
		w->stop_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

void watch_release(struct watch *w)
{
	uint64_t one = 1;

	if (w->has_thread && write(w->stop_fd, &one, sizeof(one)) > 0)
		pthread_join(w->thread, NULL);
	base_closep(&w->fd);
	base_closep(&w->stop_fd);
	watch_changes_release(&w->seen);
	numbers_release(&w->held);
	pthread_mutex_destroy(&w->mutex);
}

/* ---- watches ---- */

static const char *reason_of(int err)
{
	switch (err) {
	case ENOSPC:
		return "no more directories can be watched (fs.inotify.max_user_watches)";
	case ENOENT:
	case ENOTDIR:
		return "/proc is not there to watch directories by";
	default:
		return "its directories cannot be watched";
	}
}

int32_t watch_add(struct watch *w, int dirfd)
{
	char path[64];
	int number;
	int err;

	if (w->fd < 0)
		return TREE_UNWATCHED;
	/* A thread that scans has descriptors of its own. */
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", dirfd);
	number = inotify_add_watch(w->fd, path, EVENTS);
	err = errno;
	pthread_mutex_lock(&w->mutex);
	/* One that is not held is only never given up. */
	if (number >= 0)
		(void)numbers_add(&w->held, (uint64_t)number);
	else
		w->reason = reason_of(err);
	pthread_mutex_unlock(&w->mutex);
	return number < 0 ? TREE_UNWATCHED : number;
}

void watch_note(struct watch *w, int32_t number)
{
	pthread_mutex_lock(&w->mutex);
	if (numbers_add(&w->seen.watches, (uint64_t)number) < 0)
		w->seen.all = true;
	pthread_mutex_unlock(&w->mutex);
}

int watch_take(struct watch *w, struct watch_changes *changes)
{
	int r;

	pthread_mutex_lock(&w->mutex);
	drain(w);
	r = watch_changes_add(changes, &w->seen);
	if (r == 0)
		watch_changes_clear(&w->seen);
	pthread_mutex_unlock(&w->mutex);
	return r;
}

void watch_prune(struct watch *w, const struct numbers *keep)
{
	size_t kept = 0;

	pthread_mutex_lock(&w->mutex);
	numbers_sort(&w->held);
	for (size_t i = 0; i < w->held.count; i++) {
		uint64_t number = w->held.items[i];

		if (numbers_has(keep, number))
			w->held.items[kept++] = number;
		else
			inotify_rm_watch(w->fd, (int)number);
	}
	w->held.count = w->held.sorted = kept;
	pthread_mutex_unlock(&w->mutex);
}

bool watch_overflow(struct watch *w)
{
	bool overflow;

	pthread_mutex_lock(&w->mutex);
	overflow = w->overflow;
	w->overflow = false;
	pthread_mutex_unlock(&w->mutex);
	return overflow;
}

const char *watch_reason(struct watch *w)
{
	const char *reason;

	pthread_mutex_lock(&w->mutex);
	reason = w->reason;
	if (w->fd >= 0)
		w->reason = NULL;
	pthread_mutex_unlock(&w->mutex);
	return reason;
}
