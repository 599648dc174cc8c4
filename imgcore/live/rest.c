/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/path.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "live/live-internal.h"

/*
 * A tree is at rest when, between the scan of a directory and a later moment,
 * nothing in it changed: that moment is the generation's. Each round scans what
 * changed in the last one:
 *
 *     scan | tick | look: nothing      at rest
 *     scan | tick | look: something | scan: as before      at rest, at the look
 *                                   | scan: different | tick | look ...
 *
 * Change times are those of a coarse clock, and a file that changes twice in a
 * tick shows it once. So the look comes when that tick is over: what changes
 * behind it has a later time, by which its reader knows.
 *
 * Directories that are not watched are scanned in each round, until one is as
 * the last.
 */

#define PATIENCE_NS INT64_C(3000000000)
/* At least so many rounds, however long one takes. */
#define ROUNDS_LEAST 3u
/* Longer than any clock's tick. */
#define TICK_MAX_NS INT64_C(20000000)

struct round {
	struct live *live;
	struct trees at; /* the last that were scanned */
	/* What changed since; what is in it is in live->changes as well. */
	struct watch_changes changes;
	uint64_t source; /* number of the directory that is scanned */
	struct timespec time; /* of the last look */
	int64_t deadline; /* 0: not before a first scan is done */
	unsigned n;
	int error; /* of the last scan: what was read changed */
};

static void round_release(struct round *round)
{
	trees_release(&round->at);
	watch_changes_release(&round->changes);
}

struct trees rest_newest(const struct live *live)
{
	struct trees trees = { 0 };

	if (!live->newest || live->newest_source != live->source.number)
		return trees;
	for (unsigned i = 0; i < IMAGE_PARTS; i++)
		trees.tree[i] = image_tree(live->newest->image, i);
	return trees;
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

/* Until what changes next has a later time than all that was read. */
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

/* ---- looking ---- */

struct looking {
	const struct trees *trees;
	struct watch_changes *changes;
};

static bool is_dir(const struct tree *tree, tree_id id)
{
	struct tree_info info;

	tree_get(tree, id, &info);
	return S_ISDIR(info.attr.mode);
}

/* The nearest directory above path that is read from the host. */
static tree_id host_dir_above(const struct tree *tree, const char *path)
{
	_cleanup_free_ char *above = strdup(path);
	char *slash;

	if (!above)
		return TREE_NONE;
	while ((slash = strrchr(above, '/'))) {
		tree_id id;

		*slash = '\0';
		id = tree_find(tree, above);
		if (id != TREE_NONE && is_dir(tree, id) &&
		    tree_watch(tree, id) != TREE_NOT_HOST)
			return id;
	}
	return TREE_ROOT;
}

/* Where something was mounted, the directory above looks different. */
static void note_mount(void *context, const char *path)
{
	const struct looking *looking = context;

	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		const struct tree *tree = looking->trees->tree[i];
		tree_id id = tree ? host_dir_above(tree, path) : TREE_NONE;
		int32_t watch = id == TREE_NONE ? TREE_UNWATCHED
						: tree_watch(tree, id);

		if (id == TREE_NONE ||
		    (watch >= 0 &&
		     watch_changes_note(looking->changes, watch, 0,
					strrchr(path, '/')
						? strrchr(path, '/') + 1
						: path) < 0))
			looking->changes->all = true;
	}
}

/* ---- files that are watched themselves ---- */

struct looking_at_files {
	const struct live *live;
	const struct numbers *opened;
	struct watch_changes *changes;
};

/*
 * A file that has a writer may be written through a mapping, which no event
 * reports: it counts as changed at each open.
 */
static void look_at_file(void *context, enum image_part part, tree_id name,
			 int32_t watch, int fd)
{
	const struct looking_at_files *l = context;
	const struct tree *tree = image_tree(l->live->newest->image, part);
	bool changed = numbers_has(&l->changes->files, (uint64_t)watch);
	_cleanup_free_ char *copy = NULL;
	struct tree_info info;
	int32_t dir;

	if (numbers_has(l->opened, (uint64_t)watch) && io_has_writer(fd) == 1) {
		watch_put_opened(l->live->watch, watch);
		l->changes->written = changed = true;
	}
	if (!changed)
		return;
	tree_get(tree, name, &info);
	dir = tree_watch(tree, info.parent);
	copy = strndup(info.name, info.name_len);
	if (!copy ||
	    (dir >= 0 && watch_changes_note(l->changes, dir, 0, copy) < 0))
		l->changes->all = true;
}

static int look_at_files(struct live *live, struct watch_changes *changes)
{
	_cleanup_(numbers_release) struct numbers opened = { 0 };
	struct looking_at_files looking = { live, &opened, changes };
	int r = watch_take_opened(live->watch, &opened);

	/* Numbers are only valid for the watch of the same directory. */
	if (r == 0 && rest_newest(live).tree[0] &&
	    opened.count + changes->files.count > 0)
		image_watched(live->newest->image, look_at_file, &looking);
	numbers_clear(&changes->files);
	return r;
}

/* Nobody watches what a link in kernels/ leads to. */
static int look_at_followed(struct live *live, const struct tree *tree,
			    struct watch_changes *changes)
{
	tree_id dir;
	int32_t watch;

	if (!tree || !tree_followed_changed(tree, atomic_load(&live->own_dev),
					    live->mounts.fd, &dir))
		return 0;
	watch = tree_watch(tree, dir);
	return watch < 0 ? 0 : watch_changes_note(changes, watch, 0, "");
}

/* What changed until now, to *changes. */
static int look(struct live *live, const struct trees *trees,
		struct watch_changes *changes, struct diag *diag)
{
	const struct image_options *options = &live->options.image;
	struct looking looking = { trees, changes };
	struct pollfd fds[] = {
		{ .fd = live->watch->fd, .events = POLLIN },
		{ .fd = live->mounts.fd, .events = POLLPRI },
	};
	bool moved;
	int r = source_look(&live->source, atomic_load(&live->own_dev),
			    live->mounts.fd, &moved, diag);

	if (r < 0)
		return r;
	if (moved) {
		watch_changes_clear(&live->changes);
		r = watch_renew(&live->watch, live->source.fd);
		if (r == 0)
			r = mounts_restart(&live->mounts, live->source.fd);
		return r < 0 ? diag_set(diag, r, options->src_path, NULL) : 0;
	}
	/* Most looks find nothing: one system call says so of both. */
	if (poll(fds, ARRAY_SIZE(fds), 0) < 0)
		fds[0].revents = fds[1].revents = POLLERR;
	r = watch_take(live->watch, fds[0].revents, changes);
	if (r == 0)
		r = look_at_files(live, changes);
	if (r == 0)
		r = mounts_look(&live->mounts, fds[1].revents, note_mount,
				&looking);
	if (r == 0)
		r = look_at_followed(live, trees->tree[IMAGE_PART_SYSTEM],
				     changes);
	numbers_sort(&changes->watches);
	numbers_sort(&changes->known);
	return r < 0 ? diag_set(diag, r, options->src_path, NULL) : 0;
}

int rest_look(struct live *live, const struct trees *trees, struct diag *diag)
{
	return look(live, trees, &live->changes, diag);
}

bool rest_is_due(const struct live *live)
{
	return live->changes.all || live->changes.watches.count > 0 ||
	       live->unwatched || !rest_newest(live).tree[0];
}

/* What changed since the round began, and with it since the newest. */
static int round_look(struct round *round, struct diag *diag)
{
	struct live *live = round->live;
	struct watch_changes changes = { 0 };
	int r = look(live, &round->at, &changes, diag);

	if (watch_changes_add(&live->changes, &changes) < 0 ||
	    watch_changes_add(&round->changes, &changes) < 0)
		round->changes.all = live->changes.all = true;
	watch_changes_release(&changes);
	clock_gettime(CLOCK_REALTIME, &round->time);
	if (round->source != live->source.number) {
		trees_release(&round->at);
		watch_changes_clear(&round->changes);
		round->changes.all = true;
		round->source = live->source.number;
	}
	return r;
}

/* ---- scanning ---- */

/*
 * What its parent said of a directory was read before the directory could tell
 * of changes. One that changed since the scan began is scanned once more.
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

/* The front end's; it hears of the first scan only. */
static struct image_options scan_options(struct live *live)
{
	struct image_options options = live->options.image;

	options.src_fd = live->source.fd;
	options.scan.opener = live->source.opener;
	options.scan.watch = add_watch;
	options.scan.watch_context = live;
	options.scan.own_dev = atomic_load(&live->own_dev);
	options.scan.mountinfo = live->mounts.fd;
	if (live->newest)
		options.scan.progress = NULL;
	return options;
}

static int round_scan(struct round *round, struct trees *ret_trees,
		      struct diag *diag)
{
	struct live *live = round->live;
	struct image_options options = scan_options(live);
	struct image_changed changed[IMAGE_PARTS] = { 0 };
	tree_id *dirs[IMAGE_PARTS] = { 0 };
	int r = 0;

	live->scan_start = now_ns(CLOCK_REALTIME_COARSE);
	/* Watches that were removed report nothing. */
	round->changes.all |= live->watch->full || live->watched_anew;
	for (unsigned i = 0; i < IMAGE_PARTS && r == 0; i++) {
		if (!round->at.tree[i])
			continue;
		changed[i].previous = round->at.tree[i];
		r = trees_changed(&round->at, i, &round->changes, &dirs[i],
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
	return r;
}

/* ---- rounds ---- */

/* What a scan says when something changed in the middle of it. */
static bool is_change(int err)
{
	return err == -EAGAIN || err == -ESTALE;
}

static bool is_over(struct round *round)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);

	if (!round->deadline)
		round->deadline = now + PATIENCE_NS;
	return ++round->n >= ROUNDS_LEAST && now > round->deadline;
}

/* A path that changed; what the scan said of one where it failed. */
static int say_restless(struct round *round, struct diag *diag)
{
	const char *source = round->live->options.image.src_path;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *whole = NULL;

	if (round->error < 0)
		return -EAGAIN;
	if (cause_last(&round->live->changes, round->at.tree, &path) == 0 &&
	    path && asprintf(&whole, "%s/%s", path_prefix(source), path) < 0)
		whole = NULL;
	return diag_set(
		diag, -EAGAIN, whole ? whole : source,
		"changes while it is read, again and again; open the disk when the tree is at rest");
}

/* One scan; true: the tree is at rest, and was at the last look. */
static int round_try(struct round *round, bool *ret_rest, struct diag *diag)
{
	struct trees trees = { 0 };
	int r = round_scan(round, &trees, diag);

	(void)watch_give_back(round->live->watch);
	*ret_rest = false;
	round->error = r;
	if (r < 0)
		return is_change(r) ? 0 : r;
	watch_changes_clear(&round->changes);
	if (trees_equal(&round->at, &trees)) {
		trees_release(&round->at);
		round->at = trees;
		*ret_rest = true;
		return 0;
	}
	trees_release(&round->at);
	round->at = trees;
	wait_for_tick(&round->at);
	return 0;
}

/* What is to be scanned is in live->changes from the last look. */
static int round_begin(struct round *round)
{
	struct live *live = round->live;

	round->at = rest_newest(live);
	round->source = live->source.number;
	clock_gettime(CLOCK_REALTIME, &round->time);
	return watch_changes_add(&round->changes, &live->changes);
}

static bool round_is_quiet(const struct round *round)
{
	return round->error == 0 && !round->changes.all &&
	       round->changes.watches.count == 0 && !round->live->watch->full &&
	       !trees_unwatched(&round->at);
}

int rest_reach(struct live *live, struct trees *ret_trees,
	       struct timespec *ret_time, struct diag *diag)
{
	_cleanup_(round_release) struct round round = { .live = live };
	bool rest = false;
	int r = round_begin(&round);

	while (r == 0) {
		r = round_try(&round, &rest, diag);
		if (r < 0 || rest)
			break;
		r = round_look(&round, diag);
		if (r < 0)
			break;
		rest = round_is_quiet(&round);
		if (rest)
			break;
		if (is_over(&round))
			return say_restless(&round, diag);
		if (round.error < 0)
			sleep_us(1000);
	}
	if (r < 0)
		return r;
	*ret_trees = round.at;
	*ret_time = round.time;
	round.at = (struct trees){ 0 };
	return 0;
}
