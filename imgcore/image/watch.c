/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/search.h"
#include "base/threads.h"
#include "base/vec.h"
#include "imgcore/tree.h"

/*
 * A file that was written through a mapping is reported when it is closed,
 * after the last mapping ended. Files without a name are left out.
 */
#define EVENTS                                                             \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | \
	 IN_ATTRIB | IN_CLOSE_WRITE | IN_ONLYDIR | IN_EXCL_UNLINK)

/* A process that opens a file may write to it or map it. */
#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_OPEN)
/* Events after which a name may have other bytes. */
#define WRITE_EVENTS                                                          \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | \
	 IN_MOVED_TO)

/* Room for some hundreds of events. */
#define BUFFER 65536u
/* Pause of the thread between two reads of the queue. */
#define REST_MS 10
/* Limit of names that are distinguished. */
#define KNOWN_MAX 65536u

/* ---- which file systems ---- */

/* Numbers as in linux/magic.h, which does not have all of them. */
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

/* On these, a page fault sets no time, or that of another file. */
static bool mmap_keeps_times(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) < 0 || (uint32_t)st.f_type == TMPFS_MAGIC ||
	       (uint32_t)st.f_type == RAMFS_MAGIC ||
	       (uint32_t)st.f_type == OVERLAYFS_SUPER_MAGIC;
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
	numbers_clear(&changes->files);
	numbers_clear(&changes->known);
	changes->all = false;
	changes->written = false;
}

void watch_changes_release(struct watch_changes *changes)
{
	drop_names(changes);
	vec_free(&changes->names);
	numbers_release(&changes->watches);
	numbers_release(&changes->files);
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
	if (r == 0)
		r = numbers_add_all(&to->files, &from->files);
	to->all |= from->all || r < 0;
	to->written |= from->written;
	to->moment = max_u64(to->moment, from->moment);
	numbers_sort(&to->watches);
	numbers_sort(&to->files);
	numbers_sort(&to->known);
	return r;
}

/* ---- the queue ---- */

/* The file of a watch, or NULL. */
static struct watch_file *find_file(const struct watch *w, int32_t number)
{
	size_t i = vec_search(&w->files, (uint32_t)number);

	return i < w->files.count && w->files.items[i].number == number
		       ? &w->files.items[i]
		       : NULL;
}

/* A lost event may be of any file and any moment. */
static void lose_events(struct watch *w)
{
	w->seen.all = true;
	writes_forget(&w->writes);
	for (size_t i = 0; i < w->files.count; i++)
		(void)numbers_add(&w->opened,
				  (uint64_t)w->files.items[i].number);
}

static int take_file_event(struct watch *w, int32_t number, uint32_t mask)
{
	if (mask & IN_OPEN)
		return numbers_add(&w->opened, (uint64_t)number);
	return numbers_add(&w->seen.files, (uint64_t)number);
}

/*
 * Whether bytes may have changed although the times did not. A write through a
 * mapping sets the times if the page was first written after the scan; on file
 * systems in memory it never does, and only the close of a descriptor for
 * writing reports it.
 */
static bool is_write(struct watch *w, const struct inotify_event *event)
{
	if (event->mask & IN_MODIFY)
		return true;
	if (!(event->mask & IN_CLOSE_WRITE))
		return false;
	numbers_sort(&w->writers);
	return w->mmap_keeps_times ||
	       numbers_has(&w->writers, (uint64_t)event->wd);
}

/* An event that cannot be stored counts as lost. */
static void take_event(struct watch *w, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";
	int r;

	if (event->mask & IN_Q_OVERFLOW) {
		w->overflow = true;
		lose_events(w);
		return;
	}
	if (event->wd < 0 || event->mask & IN_IGNORED)
		return;
	if (event->mask & WRITE_EVENTS)
		writes_note(&w->writes, event->wd, name, strlen(name));
	w->seen.written |= is_write(w, event);
	r = find_file(w, event->wd) ? take_file_event(w, event->wd, event->mask)
				    : watch_changes_note(&w->seen, event->wd,
							 event->mask, name);
	if (r < 0)
		lose_events(w);
}

/* Reads the whole queue; the caller holds the lock. */
static void drain(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[BUFFER];

	while (w->fd >= 0) {
		ssize_t len = read(w->fd, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno != EAGAIN)
			lose_events(w);
		if (len <= 0)
			return;
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event = (void *)(buf + at);

			take_event(w, event);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

/* Sleeps until the thread is to end, or, with both, until there are events. */
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
	w->wants_thread = true;
	if (w->fd >= 0 && w->stop_fd >= 0 && !w->has_thread)
		w->has_thread = threads_start(&w->thread, watch_thread, w) == 0;
}

void watch_stop(struct watch *w)
{
	uint64_t one = 1;

	if (!w->has_thread)
		return;
	/* The thread uses what is freed next, so it has to end first. */
	while (write(w->stop_fd, &one, sizeof(one)) < 0)
		sched_yield();
	pthread_join(w->thread, NULL);
	w->has_thread = false;
}

static uint64_t read_limit(const struct watch *w)
{
	uint64_t limit = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(w->limit_fd); i++) {
		char text[32] = "";

		if (w->limit_fd[i] >= 0 &&
		    io_pread(w->limit_fd[i], text, sizeof(text) - 1, 0) > 0)
			limit = min_u64(limit, strtoull(text, NULL, 10));
	}
	return limit;
}

/* limit_fd: as in struct watch; they are duplicated. */
static int open_watch(struct watch **ret_watch, int src_fd,
		      enum watch_mode mode, const int limit_fd[2])
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fd = w->stop_fd = w->limit_fd[0] = w->limit_fd[1] = -1;
	atomic_init(&w->users, 1);
	w->mode = mode;
	for (size_t i = 0; i < ARRAY_SIZE(w->limit_fd); i++)
		if (limit_fd[i] >= 0)
			w->limit_fd[i] = fcntl(limit_fd[i], F_DUPFD_CLOEXEC, 3);
	pthread_mutex_init(&w->mutex, NULL);
	*ret_watch = w;
	if (mode == WATCH_NONE)
		return 0;
	if (!watch_is_local(src_fd)) {
		w->reason =
			"other machines or programs may change it without an event";
		return 0;
	}
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		w->reason =
			"no inotify instance is left (fs.inotify.max_user_instances)";
		return 0;
	}
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	w->limit = read_limit(w);
	w->mmap_keeps_times = mmap_keeps_times(src_fd);
	return 0;
}

/* Opened now, since later no file can be. One is the namespace's limit. */
int watch_new(struct watch **ret_watch, int src_fd, enum watch_mode mode)
{
	_cleanup_close_ int all = open("/proc/sys/fs/inotify/max_user_watches",
				       O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int own = open("/proc/sys/user/max_inotify_watches",
				       O_RDONLY | O_CLOEXEC);

	return open_watch(ret_watch, src_fd, mode, (int[]){ all, own });
}

int watch_renew(struct watch **watch, int src_fd)
{
	struct watch *old = *watch;
	struct watch *w;
	int r = open_watch(&w, src_fd, old->mode, old->limit_fd);

	if (r < 0)
		return r;
	watch_stop(old);
	if (old->wants_thread)
		watch_start(w);
	watch_unref(old);
	*watch = w;
	return 0;
}

struct watch *watch_ref(struct watch *w)
{
	atomic_fetch_add_explicit(&w->users, 1, memory_order_relaxed);
	return w;
}

void watch_unref(struct watch *w)
{
	if (!w || atomic_fetch_sub(&w->users, 1) != 1)
		return;
	watch_stop(w);
	base_closep(&w->fd);
	base_closep(&w->stop_fd);
	base_closep(&w->limit_fd[0]);
	base_closep(&w->limit_fd[1]);
	watch_changes_release(&w->seen);
	numbers_release(&w->held);
	numbers_release(&w->opened);
	numbers_release(&w->writers);
	vec_free(&w->files);
	writes_release(&w->writes);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

/* ---- watches ---- */

static const char *reason_of(int err)
{
	switch (err) {
	case ENOSPC:
		return "no more directories can be watched (fs.inotify.max_user_watches)";
	case ENOENT:
	case ENOTDIR:
		return "no directory can be watched without /proc";
	default:
		return "its directories cannot be watched";
	}
}

/* An eighth is left to other programs of the user. */
static bool has_too_many(struct watch *w)
{
	uint64_t most = w->limit - w->limit / 8;

	if (w->held.count + w->files.count <= most)
		return false;
	numbers_sort(&w->held);
	return w->held.count + w->files.count > most;
}

static void become_full(struct watch *w)
{
	w->full = true;
	w->taken = w->held.count + w->files.count;
	w->reason = reason_of(ENOSPC);
}

static int add(const struct watch *w, int fd, uint32_t events)
{
	char path[64];
	int number;

	/* A thread that scans has descriptors of its own. */
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	number = inotify_add_watch(w->fd, path, events);
	return number < 0 ? -errno : number;
}

int32_t watch_add(struct watch *w, int dirfd)
{
	int number;

	if (w->fd < 0 || w->full)
		return TREE_UNWATCHED;
	number = add(w, dirfd, EVENTS);
	pthread_mutex_lock(&w->mutex);
	/* If it cannot be recorded, it is only never removed. */
	if (number >= 0)
		(void)numbers_add(&w->held, (uint64_t)number);
	if (number == -ENOSPC || (number >= 0 && has_too_many(w)))
		become_full(w);
	else if (number < 0)
		w->reason = reason_of(-number);
	pthread_mutex_unlock(&w->mutex);
	return number < 0 ? TREE_UNWATCHED : number;
}

void watch_see(struct watch *w, int fd)
{
	bool keeps = mmap_keeps_times(fd);

	pthread_mutex_lock(&w->mutex);
	w->mmap_keeps_times |= keeps;
	pthread_mutex_unlock(&w->mutex);
}

void watch_note(struct watch *w, int32_t number)
{
	pthread_mutex_lock(&w->mutex);
	if (numbers_add(&w->seen.watches, (uint64_t)number) < 0)
		w->seen.all = true;
	pthread_mutex_unlock(&w->mutex);
}

int watch_take(struct watch *w, bool queued, struct watch_changes *changes)
{
	int r;

	pthread_mutex_lock(&w->mutex);
	if (queued)
		drain(w);
	w->seen.moment = w->writes.now;
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

/* ---- too few ---- */

/* All directories will be read again, so the queue does not matter. */
static void discard(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[BUFFER];

	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	watch_changes_clear(&w->seen);
	numbers_clear(&w->opened);
	numbers_clear(&w->writers);
	w->overflow = false;
	writes_forget(&w->writes);
}

bool watch_give_back(struct watch *w)
{
	bool full;

	pthread_mutex_lock(&w->mutex);
	full = w->full;
	for (size_t i = 0; full && i < w->held.count; i++)
		inotify_rm_watch(w->fd, (int)w->held.items[i]);
	for (size_t i = 0; full && i < w->files.count; i++)
		inotify_rm_watch(w->fd, w->files.items[i].number);
	if (full && w->held.count + w->files.count > 0) {
		numbers_clear(&w->held);
		w->files.count = 0;
		discard(w);
	}
	pthread_mutex_unlock(&w->mutex);
	return full;
}

bool watch_may_retry(struct watch *w, size_t needed)
{
	bool retry = false;

	pthread_mutex_lock(&w->mutex);
	if (w->full) {
		uint64_t limit = read_limit(w);

		retry = needed <= limit - limit / 8 &&
			(limit > w->limit || needed < w->taken);
		w->limit = min_u64(limit, w->limit);
		if (retry) {
			w->limit = limit;
			w->full = false;
		}
	}
	pthread_mutex_unlock(&w->mutex);
	return retry;
}

/* ---- single files ---- */

/* One that cannot be stored is treated as a file without a watch. */
static void add_writer(struct watch *w, int32_t number)
{
	(void)numbers_add(&w->opened, (uint64_t)number);
	(void)numbers_add(&w->writers, (uint64_t)number);
}

int32_t watch_add_file(struct watch *w, int fd)
{
	struct watch_file *file;
	int number = -1;

	if (!w || w->fd < 0)
		return TREE_UNWATCHED;
	pthread_mutex_lock(&w->mutex);
	/* A link may lead to a file of another file system. */
	w->mmap_keeps_times |= mmap_keeps_times(fd);
	if (!w->full && vec_reserve(&w->files, 1) == 0)
		number = add(w, fd, FILE_EVENTS);
	if (number >= 0 && !(file = find_file(w, number))) {
		size_t i = vec_search(&w->files, (uint32_t)number);

		file = &w->files.items[i];
		memmove(file + 1, file, (w->files.count++ - i) * sizeof(*file));
		*file = (struct watch_file){ .number = number };
	}
	if (number >= 0)
		file->users++;
	if (number == -ENOSPC || (number >= 0 && has_too_many(w)))
		become_full(w);
	if (number >= 0 && io_has_writer(fd) == 1)
		add_writer(w, number);
	pthread_mutex_unlock(&w->mutex);
	return number < 0 ? TREE_UNWATCHED : number;
}

void watch_remove_file(struct watch *w, int32_t number)
{
	struct watch_file *file;

	if (!w || number < 0)
		return;
	pthread_mutex_lock(&w->mutex);
	file = find_file(w, number);
	if (file && --file->users == 0) {
		struct watch_file *end = w->files.items + w->files.count--;

		inotify_rm_watch(w->fd, number);
		memmove(file, file + 1,
			(size_t)(end - file - 1) * sizeof(*file));
	}
	pthread_mutex_unlock(&w->mutex);
}

bool watch_misses_file(struct watch *w, int32_t number)
{
	bool misses;

	if (!w || w->fd < 0)
		return false;
	pthread_mutex_lock(&w->mutex);
	misses = !w->full && !find_file(w, number);
	pthread_mutex_unlock(&w->mutex);
	return misses;
}

uint64_t watch_moment(struct watch *w)
{
	uint64_t moment;

	pthread_mutex_lock(&w->mutex);
	moment = w->writes.now;
	pthread_mutex_unlock(&w->mutex);
	return moment;
}

int watch_take_opened(struct watch *w, struct numbers *ret_opened)
{
	int r;

	pthread_mutex_lock(&w->mutex);
	r = numbers_add_all(ret_opened, &w->opened);
	if (r == 0)
		numbers_clear(&w->opened);
	if (r == 0)
		numbers_clear(&w->writers);
	pthread_mutex_unlock(&w->mutex);
	numbers_sort(ret_opened);
	return r;
}

void watch_put_opened(struct watch *w, int32_t number)
{
	pthread_mutex_lock(&w->mutex);
	add_writer(w, number);
	pthread_mutex_unlock(&w->mutex);
}

bool watch_file_written(struct watch *w, int32_t number, uint64_t since)
{
	bool told;

	pthread_mutex_lock(&w->mutex);
	told = writes_since(&w->writes, number, "", 0, since);
	pthread_mutex_unlock(&w->mutex);
	return told;
}

/*
 * Checks for writers first, then for events: a write sets the times, copies the
 * bytes, and queues its event last, while the file is still open. If no process
 * has it open for writing, the events of all writes are in the queue. In the
 * other order, a write could end between the two checks. Times alone prove
 * nothing, since programs can set them back.
 */
enum watch_verdict watch_unwritten(struct watch *w, int fd, int32_t number,
				   const char *name, size_t len, uint64_t since)
{
	enum watch_verdict verdict = WATCH_UNWRITTEN;
	int writer;

	if (!w || w->fd < 0 || number < 0)
		return WATCH_UNKNOWN;
	writer = io_has_writer(fd);
	pthread_mutex_lock(&w->mutex);
	drain(w);
	if (writer > 0 || writes_since(&w->writes, number, name, len, since))
		verdict = WATCH_WRITTEN;
	else if (writer < 0 || w->full || !writes_known(&w->writes, since))
		verdict = WATCH_UNKNOWN;
	pthread_mutex_unlock(&w->mutex);
	return verdict;
}
