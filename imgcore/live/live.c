/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"
#include "live/poll_changes.h"
#include "live/reason.h"
#include "live/rescan.h"
#include "live/state.h"

/*
 * The boot loader is found once, since no program can be run later. Generations
 * depend neither on it nor on anything else here.
 */

DEFINE_CLEANUP(struct live, live_free)
DEFINE_CLEANUP(struct image, image_free)

#define ELSEWHERE "the path leads to another directory: all of it was read\n"
/* The largest number of files that are kept open, and of attempts at it. */
#define KEEP_MAX   65536u
#define KEEP_TRIES 3u

void live_free(struct live *live)
{
	if (!live)
		return;
	if (live->watch)
		watch_stop(live->watch);
	mounts_release(&live->mounts);
	source_release(&live->source);
	watch_changes_release(&live->changes);
	generation_unref(live->newest);
	watch_unref(live->watch);
	boot_grub_free(live->grub);
	pthread_mutex_destroy(&live->mutex);
	free(live);
}

void live_start_thread(struct live *live)
{
	watch_start(live->watch);
}

void live_set_own_dev(struct live *live, uint64_t dev)
{
	pthread_mutex_lock(&live->mutex);
	atomic_store(&live->own_dev, dev);
	image_set_own_dev(live->newest->image, dev);
	pthread_mutex_unlock(&live->mutex);
}

/* ---- notices for the front end ---- */

static void notice(const struct live *live, const char *path,
		   const char *reason, int err)
{
	struct diag diag = DIAG_INIT;

	if (!live->options.notice)
		return;
	diag_set(&diag, err, path, "%s", reason);
	live->options.notice(live->options.context, &diag, err);
	diag_clear(&diag);
}

/* An overlay's watches do not report changes that are made in its layers. */
static void report_overlay(const struct live *live)
{
	const struct image_options *image = &live->options.image;
	struct statfs st;

	if (fstatfs(image->src_fd, &st) == 0 &&
	    (uint32_t)st.f_type == OVERLAYFS_SUPER_MAGIC)
		notice(live, image->src_path,
		       "is an overlay: changes that are made in its layers are not seen; make them through the overlay, or mount the overlay again and restart dirdisk",
		       0);
}

/* Modules of the tree may be of another GRUB than the core image. */
static void report_modules(struct live *live, const struct tree *tree)
{
	const struct boot_options *boot = &live->options.image.boot;
	const char *dir = boot_targets[boot->target].modules_dir;
	tree_id id = tree_find(tree, dir);
	struct tree_info info;

	if (live->reported_modules || id == TREE_NONE)
		return;
	tree_get(tree, id, &info);
	if (!S_ISDIR(info.attr.mode) || tree_watch(tree, id) == TREE_NOT_HOST)
		return;
	if (live->newest && live->grub && !boot->core_image &&
	    !boot->whole_core)
		notice(live, dir, "mount again to boot with its modules",
		       -ESTALE);
	live->reported_modules = true;
}

/* ---- a new generation ---- */

/* Makes trees the newest ones: the changes so far are in them. */
static void commit(struct live *live, const struct trees *trees)
{
	const char *src_path = live->options.image.src_path;
	_cleanup_(numbers_release) struct numbers watches = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *reason;

	/* On failure, watches that are not needed cause needless scans only. */
	if (trees_watches(trees, &watches) == 0)
		watch_prune(live->watch, &watches);
	live->unwatched = trees_directories(trees, true) > 0;
	live->unwatched |= watch_give_back(live->watch);
	live->watched_anew = false;
	watch_changes_clear(&live->changes);
	reason = watch_reason(live->watch);
	if (live->unwatched && !live->reported_unwatched &&
	    !live->options.no_watch &&
	    asprintf(&text, "%s: it is read again at each open",
		     reason ? reason : "not all of it could be watched") >= 0)
		notice(live, src_path, text, -ENOSPC);
	live->reported_unwatched = live->unwatched;
	if (watch_overflow(live->watch))
		notice(live, src_path,
		       "more changes than inotify holds: all of it was read again; see fs.inotify.max_queued_events",
		       -EOVERFLOW);
}

/* Makes the disk of trees, which it takes over on success. */
static int make_image(struct live *live, struct trees *trees,
		      struct image **ret_image, struct diag *diag)
{
	const struct image *previous = live->newest ? live->newest->image
						    : NULL;
	_cleanup_(image_freep) struct image *image = NULL;
	struct rlimit limit;
	size_t budget = 0;
	int r = image_assemble(&live->options.image, live->grub, &trees->owned,
			       previous, &image, diag);

	if (r < 0)
		return r;
	/* The other half of the descriptors is for all else. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		budget = (size_t)min_u64(limit.rlim_cur / 2, KEEP_MAX);
	r = image_pin(image, previous, budget, live->watch,
		      live->changes.moment, diag);
	if (r == 0)
		*ret_image = take_ptr(image);
	return r;
}

static int make_generation(struct live *live, struct trees *trees,
			   const struct timespec *time, struct diag *diag)
{
	const struct trees old = newest_trees(live);
	uint64_t number = live->newest ? live->newest->number + 1 : 1;
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_free_ char *reason = NULL;
	struct generation *generation;
	int r;

	if (live->newest && !old.tree[0])
		r = (reason = strdup(ELSEWHERE)) ? 0 : -ENOMEM;
	else
		r = reason_make(&live->changes, trees->tree, old.tree, &reason);
	if (r == 0)
		r = make_image(live, trees, &image, diag);
	else
		diag_set(diag, r, live->options.image.src_path, NULL);
	if (r < 0)
		return r;
	r = generation_new(&generation, image, number, time, reason);
	if (r < 0)
		return diag_set(diag, r, live->options.image.src_path, NULL);
	take_ptr(image);
	take_ptr(reason);
	report_modules(live, trees->tree[IMAGE_PART_BOOT]);
	commit(live, trees);
	generation_unref(live->newest);
	live->newest = generation;
	live->newest_source = live->source.number;
	return 0;
}

/* Scans until the tree is stable, and makes a disk of it if it differs. */
static int renew_once(struct live *live, struct diag *diag)
{
	_cleanup_(trees_release) struct trees trees = { 0 };
	const struct trees newest = newest_trees(live);
	struct timespec time;
	int r = rescan_until_stable(live, &trees, &time, diag);

	if (r < 0)
		return r;
	/*
	 * A call that writes sets the times first, and may take long: bytes
	 * that were read meanwhile are of the last generation, although the
	 * times are the same.
	 */
	if (live->changes.written ||
	    (live->watched_anew && !live->watch->full) ||
	    !trees_equal(&newest, &trees))
		return make_generation(live, &trees, &time, diag);
	commit(live, &newest);
	return 0;
}

/*
 * Files that are kept open may have changed after the scan (-ESTALE). The next
 * poll shows that; otherwise all directories are scanned.
 */
static int renew(struct live *live, struct diag *diag)
{
	const struct trees newest = newest_trees(live);
	int r = renew_once(live, diag);

	/* Caches of images may hold all descriptors. */
	if ((r == -EMFILE || r == -ENFILE) && live->newest) {
		image_drop_cached(live->newest->image);
		r = renew_once(live, diag);
	}
	for (unsigned i = 0; i < KEEP_TRIES && r == -ESTALE; i++) {
		r = poll_changes(live, &newest, &live->changes, diag);
		if (r < 0)
			return r;
		live->changes.all |= i > 0;
		r = renew_once(live, diag);
	}
	return r == -ESTALE ? -EAGAIN : r;
}

/* ---- the newest ---- */

static int note_stale(struct live *live, const struct image_stale *stale)
{
	const struct tree *tree = image_tree(live->newest->image, stale->part);
	_cleanup_free_ char *name = NULL;
	struct tree_info info;
	int32_t watch;

	tree_get(tree, stale->node, &info);
	watch = tree_watch(tree, info.parent);
	if (watch < 0)
		return 0;
	/* No event reported it: others may be missing as well. */
	if (!numbers_has(&live->changes.watches, (uint64_t)watch))
		live->changes.all = true;
	name = strndup(info.name, info.name_len);
	if (!name)
		return -ENOMEM;
	return watch_changes_note(&live->changes, watch, 0, name);
}

/* Adds the files that a read of the newest disk found to have changed. */
static void note_all_stale(struct live *live)
{
	struct image_stale stale[IMAGE_STALE_MAX];
	bool more = false;
	size_t n = image_take_stale(live->newest->image, stale, &more);

	for (size_t i = 0; i < n; i++)
		more |= note_stale(live, &stale[i]) < 0;
	live->changes.all |= more;
	numbers_sort(&live->changes.watches);
	numbers_sort(&live->changes.known);
}

static int get_newest(struct live *live, struct diag *diag)
{
	const struct trees newest = newest_trees(live);
	int r = poll_changes(live, &newest, &live->changes, diag);

	if (r < 0)
		return r;
	/*
	 * The limit of watches may have been raised, or the tree may have
	 * become smaller. Then all is watched anew: the numbers that the trees
	 * have are those of watches that were given back.
	 */
	if (live->unwatched && live->newest &&
	    watch_may_retry(live->watch,
			    trees_directories(&newest, false) +
				    image_pinned(live->newest->image)))
		live->watched_anew = live->changes.all = true;
	/* The poll may have found another directory. */
	if (newest_trees(live).tree[0])
		note_all_stale(live);
	return rescan_is_due(live) ? renew(live, diag) : 0;
}

int live_newest(struct live *live, struct generation **ret_generation,
		struct diag *diag)
{
	int r;

	pthread_mutex_lock(&live->mutex);
	r = get_newest(live, diag);
	if (r == 0)
		*ret_generation = generation_ref(live->newest);
	pthread_mutex_unlock(&live->mutex);
	return r;
}

int live_new(struct live **ret_live, const struct live_options *options,
	     struct diag *diag)
{
	const struct image_options *image = &options->image;
	_cleanup_(live_freep) struct live *live = calloc(1, sizeof(*live));
	int r;

	if (!live)
		return diag_set(diag, -ENOMEM, image->src_path, NULL);
	live->options = *options;
	pthread_mutex_init(&live->mutex, NULL);
	live->mounts.fd = -1;
	live->reported_unwatched = options->no_watch;
	report_overlay(live);
	live->source.fd = -1;
	r = watch_new(&live->watch, image->src_fd,
		      options->no_watch ? WATCH_NONE : WATCH_AUTO);
	if (r == 0)
		r = source_init(&live->source, &live->options);
	if (r == 0)
		r = mounts_init(&live->mounts, live->source.fd);
	if (r < 0)
		return diag_set(diag, r, image->src_path, NULL);
	r = image_find_grub(image, &live->grub, diag);
	if (r == 0 && options->begin)
		r = options->begin(options->context, diag);
	if (r == 0)
		r = get_newest(live, diag);
	if (r < 0)
		return r;
	*ret_live = take_ptr(live);
	return 0;
}
