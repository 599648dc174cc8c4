/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/rescan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/path.h"
#include "imgcore/diag.h"
#include "live/poll_changes.h"
#include "live/reason.h"

/*
 * A tree is stable if nothing in it changed between the scan of each directory
 * and a later moment: that moment is the generation's. Each pass scans what has
 * changed since the last one:
 *
 *     scan | tick | poll: nothing      stable
 *     scan | tick | poll: something | scan: as before      stable, at the poll
 *                                   | scan: different | tick | poll ...
 *
 * Change times are those of a coarse clock, and two changes of a file within a
 * tick show the same time. So the poll is after the end of that tick: a later
 * change has a later time, by which a reader recognizes it.
 *
 * Directories without a watch are scanned in each pass, until a scan is equal
 * to the last one.
 */

#define TIME_LIMIT_NS INT64_C(3000000000)
/* The least number of passes, however long a pass takes. */
#define PASSES_MIN 3u
/* Longer than a tick of any clock. */
#define TICK_MAX_NS INT64_C(20000000)

struct rescan {
	struct live *live;
	struct trees trees; /* the last that were scanned */
	struct watch_changes
		changes; /* since then; live->changes has them too */
	uint64_t source; /* number of the directory that is scanned */
	struct timespec time; /* of the last poll */
};

static void rescan_release(struct rescan *rescan)
{
	trees_release(&rescan->trees);
	watch_changes_release(&rescan->changes);
}

/* ---- time ---- */

static int64_t timespec_ns(const struct timespec *time)
{
	return time_ns(time->tv_sec, time->tv_nsec);
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return timespec_ns(&now);
}

static void sleep_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Waits until the next change has a later time than all that was read. */
static void wait_for_tick(const struct trees *trees)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + TICK_MAX_NS;
	int64_t youngest = INT64_MIN;

	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		int64_t time = tree_youngest(trees->tree[i]);

		youngest = time > youngest ? time : youngest;
	}
	while (now_ns(CLOCK_REALTIME_COARSE) <= youngest &&
	       now_ns(CLOCK_MONOTONIC) < end)
		sleep_us(200);
}

/* ---- one pass ---- */

/*
 * Watches a directory. Its own attributes were read, with its parent, before it
 * had a watch: if it has changed since the scan began, it is scanned again.
 */
static int32_t add_watch(void *context, int dirfd)
{
	struct live *live = context;
	const bool crosses = live->options.image.scan.cross_mounts;
	int32_t watch = !crosses || watch_is_local(dirfd)
				? watch_add(live->watch, dirfd)
				: TREE_UNWATCHED;
	struct stat st;

	if (crosses)
		watch_see(live->watch, dirfd);
	if (watch >= 0 && (fstat(dirfd, &st) < 0 ||
			   timespec_ns(&st.st_ctim) >= live->scan_start))
		watch_note(live->watch, watch);
	return watch;
}

static int scan_changes(struct rescan *rescan, struct trees *ret_trees,
			struct diag *diag)
{
	struct live *live = rescan->live;
	struct image_options options = live->options.image;
	struct image_changed changed[IMAGE_PARTS] = { 0 };
	tree_id *dirs[IMAGE_PARTS] = { 0 };
	int r = 0;

	options.src_fd = live->source.fd;
	options.scan.opener = live->source.opener;
	options.scan.watch = add_watch;
	options.scan.watch_context = live;
	options.scan.own_dev = atomic_load(&live->own_dev);
	options.scan.mountinfo = live->mounts.fd;
	if (live->newest) /* the front end shows the progress of the first */
		options.scan.progress = NULL;
	live->scan_start = now_ns(CLOCK_REALTIME_COARSE);
	/* Watches that were removed report nothing. */
	rescan->changes.all |= live->watch->full || live->watched_anew;
	for (unsigned i = 0; i < IMAGE_PARTS && r == 0; i++) {
		if (!rescan->trees.tree[i])
			continue;
		changed[i].previous = rescan->trees.tree[i];
		r = trees_changed(&rescan->trees, i, &rescan->changes, &dirs[i],
				  &changed[i].n);
		changed[i].dirs = dirs[i];
	}
	if (r < 0)
		diag_set(diag, r, options.src_path, NULL);
	else
		r = image_scan(&options, live->grub, changed, &ret_trees->owned,
			       diag);
	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		free(dirs[i]);
		ret_trees->tree[i] = ret_trees->owned.tree[i];
	}
	(void)watch_give_back(live->watch);
	return r;
}

/* Adds what has changed to rescan->changes and to live->changes. */
static int poll_pass(struct rescan *rescan, struct diag *diag)
{
	struct live *live = rescan->live;
	struct watch_changes changes = { 0 };
	int r = poll_changes(live, &rescan->trees, &changes, diag);

	if (watch_changes_add(&live->changes, &changes) < 0 ||
	    watch_changes_add(&rescan->changes, &changes) < 0)
		rescan->changes.all = live->changes.all = true;
	watch_changes_release(&changes);
	clock_gettime(CLOCK_REALTIME, &rescan->time);
	if (rescan->source != live->source.number) {
		trees_release(&rescan->trees);
		watch_changes_clear(&rescan->changes);
		rescan->changes.all = true;
		rescan->source = live->source.number;
	}
	return r;
}

/* Fails with a path that keeps changing. */
static int fail_unstable(const struct rescan *rescan, struct diag *diag)
{
	const char *source = rescan->live->options.image.src_path;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *whole = NULL;

	if (reason_last(&rescan->live->changes, rescan->trees.tree, &path) ==
		    0 &&
	    path && asprintf(&whole, "%s/%s", path_prefix(source), path) < 0)
		whole = NULL;
	return diag_set(
		diag, -EAGAIN, whole ? whole : source,
		"changes while it is read, again and again; open the disk when the tree is at rest");
}

int rescan_until_stable(struct live *live, struct trees *ret_trees,
			struct timespec *ret_time, struct diag *diag)
{
	_cleanup_(rescan_release) struct rescan rescan = {
		.live = live,
		.trees = newest_trees(live),
		.source = live->source.number,
	};
	int64_t deadline = 0;
	int r;

	clock_gettime(CLOCK_REALTIME, &rescan.time);
	r = watch_changes_add(&rescan.changes, &live->changes);
	if (r < 0)
		return r;
	for (unsigned n = 1;; n++) {
		struct trees trees = { 0 };
		int error = scan_changes(&rescan, &trees, diag);
		int64_t now;

		/* Something changed while it was scanned. */
		bool again = error == -EAGAIN || error == -ESTALE;

		if (error < 0 && !again)
			return error;
		if (error == 0) {
			bool stable = trees_equal(&rescan.trees, &trees);

			watch_changes_clear(&rescan.changes);
			trees_release(&rescan.trees);
			rescan.trees = trees;
			if (stable)
				break;
			wait_for_tick(&rescan.trees);
		}
		r = poll_pass(&rescan, diag);
		if (r < 0)
			return r;
		if (error == 0 && !rescan.changes.all &&
		    rescan.changes.watches.count == 0 && !live->watch->full &&
		    trees_directories(&rescan.trees, true) == 0)
			break;
		now = now_ns(CLOCK_MONOTONIC);
		if (!deadline)
			deadline = now + TIME_LIMIT_NS;
		if (n >= PASSES_MIN && now > deadline)
			/* The failed scan has named a path already. */
			return error < 0 ? -EAGAIN
					 : fail_unstable(&rescan, diag);
		if (error < 0)
			sleep_us(1000);
	}
	*ret_trees = rescan.trees;
	*ret_time = rescan.time;
	rescan.trees = (struct trees){ 0 };
	return 0;
}
