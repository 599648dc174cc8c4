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
#include "live/live-internal.h"

/*
 * The boot loader is found once, here: later no program can be run. No
 * generation depends on it, nor on anything else of this.
 */

DEFINE_CLEANUP(struct live, live_free)
DEFINE_CLEANUP(struct image, image_free)

#define MODULES	  "boot/grub/i386-pc"
#define ELSEWHERE "the path leads to another directory: all of it was read\n"
/* At most so many files are kept open, and so often that is tried. */
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

void live_attend(struct live *live)
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

/* ---- what the front end is told ---- */

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

static void tell_unwatched(struct live *live)
{
	const char *reason = watch_reason(live->watch);
	_cleanup_free_ char *text = NULL;

	if (live->unwatched && !live->told_unwatched &&
	    !live->options.no_watch &&
	    asprintf(&text, "%s: it is read again at each open",
		     reason ? reason : "not all of it could be watched") >= 0)
		notice(live, live->options.image.src_path, text, -ENOSPC);
	live->told_unwatched = live->unwatched;
}

/* Watches on its directories do not report changes in its layers. */
static void tell_overlay(const struct live *live)
{
	const struct image_options *image = &live->options.image;
	struct statfs st;

	if (fstatfs(image->src_fd, &st) == 0 &&
	    (uint32_t)st.f_type == OVERLAYFS_SUPER_MAGIC)
		notice(live, image->src_path,
		       "is an overlay: changes that are made in its layers are not seen; make them through the overlay, or mount the overlay again and restart dirdisk",
		       0);
}

static bool has_modules(const struct tree *tree)
{
	tree_id id = tree_find(tree, MODULES);
	struct tree_info info;

	if (id == TREE_NONE)
		return false;
	tree_get(tree, id, &info);
	return S_ISDIR(info.attr.mode) && tree_watch(tree, id) != TREE_NOT_HOST;
}

/* They may be another GRUB's than the one whose core image is there. */
static void tell_modules(struct live *live, const struct tree *tree)
{
	const struct boot_options *boot = &live->options.image.boot;

	if (live->told_modules || !has_modules(tree))
		return;
	if (live->newest && live->grub && !boot->core_image &&
	    !boot->whole_core)
		notice(live, MODULES, "mount again to boot with its modules",
		       -ESTALE);
	live->told_modules = true;
}

/* ---- a new generation ---- */

/* Trees that are the newest's from now on. */
static void settle(struct live *live, const struct trees *trees)
{
	_cleanup_(numbers_release) struct numbers watches = { 0 };

	/* Those that are held without need only make scans without need. */
	if (trees_watches(trees, &watches, &live->unwatched) == 0)
		watch_prune(live->watch, &watches);
	live->unwatched |= watch_give_back(live->watch);
	live->watched_anew = false;
	watch_changes_clear(&live->changes);
	tell_unwatched(live);
	if (watch_overflow(live->watch))
		notice(live, live->options.image.src_path,
		       "more changes than inotify holds: all of it was read again; see fs.inotify.max_queued_events",
		       -EOVERFLOW);
}

/* Some descriptors for files kept open; the rest is for all else. */
static size_t keep_budget(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	return (size_t)min_u64(limit.rlim_cur / 2, KEEP_MAX);
}

/* The disk of trees, which it takes over on success. */
static int make_image(struct live *live, struct trees *trees,
		      struct image **ret_image, struct diag *diag)
{
	const struct image *previous = live->newest ? live->newest->image
						    : NULL;
	_cleanup_(image_freep) struct image *image = NULL;
	int r = image_assemble(&live->options.image, live->grub, &trees->owned,
			       previous, &image, diag);

	if (r < 0)
		return r;
	r = image_keep(image, previous, keep_budget(), live->watch,
		       live->changes.moment, diag);
	if (r == 0)
		*ret_image = take_ptr(image);
	return r;
}

static int make_generation(struct live *live, struct trees *trees,
			   const struct timespec *time, struct diag *diag)
{
	const struct trees old = rest_newest(live);
	uint64_t number = live->newest ? live->newest->number + 1 : 1;
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_free_ char *cause = NULL;
	struct generation *generation;
	int r;

	if (live->newest && !old.tree[0])
		r = (cause = strdup(ELSEWHERE)) ? 0 : -ENOMEM;
	else
		r = cause_make(&live->changes, trees->tree, old.tree, &cause);
	if (r == 0)
		r = make_image(live, trees, &image, diag);
	else
		diag_set(diag, r, live->options.image.src_path, NULL);
	if (r < 0)
		return r;
	r = generation_new(&generation, image, number, time, cause);
	if (r < 0)
		return diag_set(diag, r, live->options.image.src_path, NULL);
	take_ptr(image);
	take_ptr(cause);
	tell_modules(live, trees->tree[IMAGE_PART_BOOT]);
	settle(live, trees);
	generation_unref(live->newest);
	live->newest = generation;
	live->newest_source = live->source.number;
	return 0;
}

/* Scans until the tree is at rest, and makes a disk of it if it is another. */
static int renew_once(struct live *live, struct diag *diag)
{
	_cleanup_(trees_release) struct trees trees = { 0 };
	const struct trees newest = rest_newest(live);
	struct timespec time;
	int r = rest_reach(live, &trees, &time, diag);

	if (r < 0)
		return r;
	/*
	 * A call that writes sets the times first, and may go on for long: what
	 * was read meanwhile is the last generation's, whatever the times say.
	 */
	if (live->changes.written ||
	    (live->watched_anew && !live->watch->full) ||
	    !trees_equal(&newest, &trees))
		return make_generation(live, &trees, &time, diag);
	settle(live, &newest);
	return 0;
}

/*
 * Files that are kept may have changed since. That shows in what is looked at
 * before the next try; if it does not, all is read.
 */
static int renew(struct live *live, struct diag *diag)
{
	const struct trees newest = rest_newest(live);
	int r = renew_once(live, diag);

	/* Caches of images may hold all descriptors. */
	if ((r == -EMFILE || r == -ENFILE) && live->newest) {
		image_drop_cached(live->newest->image);
		r = renew_once(live, diag);
	}
	for (unsigned i = 0; i < KEEP_TRIES && r == -ESTALE; i++) {
		r = rest_look(live, &newest, diag);
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
	/* Nobody told: it may be so with any other (all linked elsewhere). */
	if (!numbers_has(&live->changes.watches, (uint64_t)watch))
		live->changes.all = true;
	name = strndup(info.name, info.name_len);
	if (!name)
		return -ENOMEM;
	return watch_changes_note(&live->changes, watch, 0, name);
}

/* What reading the newest's disk found to be no longer what was scanned. */
static void look_at_stale(struct live *live)
{
	struct image_stale stale[IMAGE_STALE_MAX];
	bool more = false;
	size_t n;

	if (!rest_newest(live).tree[0])
		return;
	n = image_take_stale(live->newest->image, stale, &more);
	for (size_t i = 0; i < n; i++)
		more |= note_stale(live, &stale[i]) < 0;
	live->changes.all |= more;
	numbers_sort(&live->changes.watches);
	numbers_sort(&live->changes.known);
}

/* Whether the limit was raised, or the tree has become smaller. */
static void retry_watches(struct live *live, const struct trees *newest)
{
	size_t needed = trees_directories(newest) +
			image_kept(live->newest->image);

	if (!watch_may_retry(live->watch, needed))
		return;
	/* The numbers that the trees have are those of watches given back. */
	live->watched_anew = true;
	live->changes.all = true;
}

static int get_newest(struct live *live, struct diag *diag)
{
	const struct trees newest = rest_newest(live);
	int r = rest_look(live, &newest, diag);

	if (r < 0)
		return r;
	if (live->unwatched && live->newest)
		retry_watches(live, &newest);
	look_at_stale(live);
	return rest_is_due(live) ? renew(live, diag) : 0;
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
	live->told_unwatched = options->no_watch;
	tell_overlay(live);
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
