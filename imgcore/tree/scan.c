/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "base/threads.h"
#include "base/vec.h"
#include "imgcore/opener.h"
#include "tree/follow.h"
#include "tree/link_rescan.h"
#include "tree/mount_type.h"
#include "tree/scan_dir.h"
#include "tree/tree_writer.h"

/*
 * The queue of directories is the tree itself. A thread claims the next
 * directory in the order of nodes and scans it into a slot, without a lock. The
 * thread that holds the earliest claim puts its directory into the tree, where
 * its subdirectories are the next to claim. Claims are numbered, and put in in
 * that order: so the tree is the same for any number of threads, and so is the
 * error, that of the first directory in order.
 *
 *     places  | put in ................ | scanned, or being scanned | to claim
 *     claims                            ^ turn                      ^ claims
 *
 * A directory that was in the previous tree and did not change is shared with
 * it. If something around it changed (the attributes of a subdirectory, its
 * grafts), it is made anew from what is known, and not read.
 *
 * Each directory is opened by its path from the root: a thread needs two
 * descriptors, however deep the tree is.
 */

/* How many claims there may be after a directory that is slow to read ... */
#define WINDOW 64u
/* ... and how many entries may wait for it. */
#define MAX_WAITING  65536u
#define REPORT_EVERY 1024u

struct slot {
	struct dir_scan scan;
	size_t place;
	builder_id graft; /* goes into it, or BUILDER_NONE */
	char *path;
	struct {
		struct tree_identity *items;
		size_t count, size;
	} above; /* with cross_mounts: the directory, and those above it */
	bool on_host;
	struct dir *dir; /* the result; there from the start if shared */
	bool done;
	int error;
};

struct scan {
	const struct tree_scan_options *options;
	const struct tree_builder *grafts; /* or NULL */
	uid_t euid;
	struct xattr_reader xattrs; /* the root's */
	struct mount_types mounts;

	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct tree_writer writer;
	struct {
		struct previous_dir *items;
		size_t count, size;
	} previous_dirs; /* of each place */
	struct diag *diag; /* of error */
	int error; /* the scan's: no more is put in */
	bool stop; /* a directory failed: no more are claimed */
	size_t next; /* place to claim */
	uint64_t claims;
	uint64_t turn;
	size_t waiting; /* entries scanned out of turn */
	struct slot slots[WINDOW]; /* of claims turn ... claims - 1 */
	pthread_t threads[THREADS_MAX];
	unsigned n_threads; /* that were started */
	unsigned max_threads;

	pthread_mutex_t count_mutex;
	uint64_t entries;
};

static void *scan_work(void *context);

/*
 * One more thread. It has a descriptor table of its own: in a shared one the
 * kernel counts each use of the directory's descriptor, for every entry. If
 * unshare is forbidden, the table is shared. In either case no descriptor that
 * is opened here may be left in the tree: in another table its number means
 * another file.
 */
static void *scan_thread(void *context)
{
	(void)unshare(CLONE_FILES);
	return scan_work(context);
}

static void report(void *context, uint64_t entries)
{
	struct scan *s = context;
	uint64_t before;

	pthread_mutex_lock(&s->count_mutex);
	before = s->entries;
	s->entries += entries;
	if (before / REPORT_EVERY != s->entries / REPORT_EVERY)
		s->options->progress(s->options->context, s->entries);
	pthread_mutex_unlock(&s->count_mutex);
}

/* ---- the previous tree ---- */

/* Returns the index of the first changed id that is not below this one. */
static size_t first_changed(const struct tree_scan_options *options, tree_id id)
{
	return search_number(options->changed, options->n_changed,
			     sizeof(*options->changed), id);
}

static bool has_changed(const struct tree_scan_options *options, tree_id id)
{
	size_t i = first_changed(options, id);

	return i < options->n_changed && options->changed[i] == id;
}

/* Returns the index of the first changed id of a directory, and how many. */
static size_t changed_in(const struct tree_scan_options *options,
			 const struct place *was, size_t *ret_n)
{
	size_t first = first_changed(options, was->first);

	*ret_n = first_changed(options, was->first + was->dir->count) - first;
	return first;
}

static const struct place *previous_place(const struct scan *s, size_t place)
{
	uint32_t previous = s->previous_dirs.items[place].place;

	return previous ? &s->options->previous->places.items[previous] : NULL;
}

/* Finds a subdirectory in the previous tree, where its parent was at `was`. */
static struct previous_dir find_previous(const struct scan *s,
					 const struct place *was,
					 const struct dir *dir,
					 const struct node *node)
{
	const struct node *old;
	tree_id id;

	if (node->flags & (NODE_GRAFT | NODE_UNSCANNED))
		return (struct previous_dir){ 0 };
	old = was->dir == dir ? node
			      : dir_find(was->dir, node_name(dir, node),
					 node->name_len);
	if (!old || !S_ISDIR(old->mode) || old->ino != node->ino ||
	    (old->flags & (NODE_GRAFT | NODE_UNSCANNED)) ||
	    node_device(was->dir, old) != node_device(dir, node))
		return (struct previous_dir){ 0 };
	id = was->first + (tree_id)(old - was->dir->nodes);
	return (struct previous_dir){
		.place = tree_place_of(was, old),
		.read = !dir_node_same(was->dir, old, dir, node) ||
			has_changed(s->options, id),
	};
}

/* Puts in a directory, and finds its subdirectories in the previous tree. */
static int put_dir(struct scan *s, size_t place, struct dir *dir,
		   const struct dir_builder *builder)
{
	const struct place *was = previous_place(s, place);
	int r = tree_writer_put(&s->writer, dir, builder, s->diag);

	if (r < 0 || dir->subdirs == 0)
		return r;
	for (uint32_t i = 0; i < dir->count; i++) {
		struct previous_dir *previous;

		if (!S_ISDIR(dir->nodes[i].mode))
			continue;
		previous = vec_push(&s->previous_dirs);
		if (!previous)
			return diag_set(s->diag, -ENOMEM, NULL, NULL);
		if (was)
			*previous = find_previous(s, was, dir, &dir->nodes[i]);
	}
	return 0;
}

/* ---- claims ---- */

static bool scan_has_next(const struct scan *s)
{
	return s->next < s->writer.tree->places.count;
}

/* Returns the previous directory if the new tree can share it. */
static struct dir *shareable(const struct scan *s, size_t place)
{
	const struct place *was = previous_place(s, place);
	size_t n;

	if (!was || s->previous_dirs.items[place].read || was->dir->grafted ||
	    s->writer.grafts.items[place] != BUILDER_NONE)
		return NULL;
	changed_in(s->options, was, &n);
	return n == 0 ? was->dir : NULL;
}

/* Lists the directories above, to find one that is mounted below itself. */
static int note_above(const struct tree *t, tree_id id, struct slot *slot)
{
	for (;;) {
		const struct place *place;
		const struct node *n = tree_node(t, id, &place);
		struct tree_identity *above = vec_push(&slot->above);

		if (!above)
			return -ENOMEM;
		above->dev = node_device(place->dir, n);
		above->ino = n->ino;
		if (id == TREE_ROOT)
			return 0;
		id = place->node;
	}
}

/* Copies what the scan of a directory needs, since places move. */
static void slot_fill(struct scan *s, struct slot *slot, size_t place)
{
	const struct tree *t = s->writer.tree;
	const struct place *was = previous_place(s, place);
	tree_id id = t->places.items[place].node;
	const struct place *parent;
	const struct node *n = tree_node(t, id, &parent);
	struct dir_scan *scan = &slot->scan;
	size_t changed;

	slot->place = place;
	slot->dir = shareable(s, place);
	if (slot->dir) {
		dir_ref(slot->dir);
		return;
	}
	slot->graft = s->writer.grafts.items[place];
	slot->on_host = !(n->flags & (NODE_GRAFT | NODE_UNSCANNED));
	if (!slot->on_host)
		return;
	slot->error = tree_path(t, id, &slot->path);
	if (slot->error == 0 && s->options->cross_mounts)
		slot->error = note_above(t, id, slot);
	scan->above = slot->above.items;
	scan->n_above = slot->above.count;
	scan->mounts = &s->mounts;
	scan->options = s->options;
	scan->root_fd = t->root_fd;
	scan->root_path = t->root_path;
	scan->path = slot->path;
	scan->dev = node_device(parent->dir, n);
	scan->ino = n->ino;
	scan->euid = s->euid;
	scan->count = s->options->progress ? report : NULL;
	scan->context = s;
	scan->reporting = diag_has_sink(s->diag);
	if (!was || s->previous_dirs.items[place].read)
		return;
	scan->before = was->dir;
	scan->first = was->first;
	changed = changed_in(s->options, was, &scan->n_changed);
	if (scan->n_changed > 0)
		scan->changed = &s->options->changed[changed];
}

static void slot_clear(struct slot *slot)
{
	dir_scan_clear(&slot->scan);
	free(slot->path);
	dir_unref(slot->dir);
	slot->dir = NULL;
	slot->path = NULL;
	slot->above.count = 0;
	slot->done = false;
	slot->error = 0;
}

/* Puts in the directories that can be shared, while no claim is before them. */
static void scan_share(struct scan *s)
{
	while (!s->stop && s->claims == s->turn && scan_has_next(s)) {
		size_t place = s->next;
		struct dir *dir = shareable(s, place);

		if (!dir)
			return;
		s->next++;
		s->error = put_dir(s, place, dir_ref(dir), NULL);
		s->stop = s->error != 0;
	}
}

/* Claims the next directory; NULL: there are no more. */
static struct slot *scan_claim(struct scan *s)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&s->mutex);
	while (!s->stop) {
		uint64_t ahead;

		scan_share(s);
		ahead = s->claims - s->turn;
		if (s->stop || (ahead == 0 && !scan_has_next(s)))
			break;
		if (scan_has_next(s) &&
		    (ahead == 0 ||
		     (ahead < WINDOW && s->waiting < MAX_WAITING))) {
			slot = &s->slots[s->claims++ % WINDOW];
			slot_fill(s, slot, s->next++);
			/* Without another thread, those that run do it all. */
			if (s->n_threads + 1 < s->max_threads &&
			    scan_has_next(s)) {
				if (threads_start(&s->threads[s->n_threads],
						  scan_thread, s) == 0)
					s->n_threads++;
				else
					s->max_threads = 0;
			}
			break;
		}
		pthread_cond_wait(&s->changed, &s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return slot;
}

/* Scans the directory, and makes it from what was found and its grafts. */
static int slot_run(struct scan *s, struct slot *slot)
{
	struct dir_scan *scan = &slot->scan;
	int r = slot->error;

	if (slot->dir) /* shared */
		return 0;
	if (r == 0 && slot->on_host)
		r = dir_scan_run(scan);
	if (r < 0)
		return r;
	if (slot->graft != BUILDER_NONE)
		r = dir_builder_add_grafts(&scan->builder, s->grafts,
					   slot->graft);
	if (r < 0)
		return diag_set(&scan->diag, r, slot->path, NULL);
	r = dir_builder_sort(&scan->builder, &scan->diag);
	if (r < 0)
		return r;
	r = dir_builder_finish(&scan->builder, &s->writer.tree->clock,
			       &slot->dir);
	if (r < 0)
		return diag_set(&scan->diag, r, slot->path, NULL);
	slot->dir->watch = slot->on_host ? scan->watch : TREE_NOT_HOST;
	slot->dir->skipped = scan->skipped;
	return 0;
}

/* Puts in the slot whose turn it is. */
static int scan_put(struct scan *s, struct slot *slot)
{
	const struct dir_scan *scan = &slot->scan;
	struct tree *t = s->writer.tree;

	if (slot->error < 0) {
		diag_move(s->diag, &slot->scan.diag);
		return slot->error;
	}
	dir_scan_report(&slot->scan, s->diag);
	if (scan->youngest > t->youngest)
		t->youngest = scan->youngest;
	return put_dir(s, slot->place, take_ptr(slot->dir),
		       scan->builder.order.count ? &scan->builder : NULL);
}

/* Hands a slot in, and puts in all slots whose turn has come. */
static void scan_hand_in(struct scan *s, struct slot *slot)
{
	pthread_mutex_lock(&s->mutex);
	slot->done = true;
	s->waiting += slot->scan.builder.entries.count;
	if (slot->error < 0)
		s->stop = true;
	while (!s->error && s->turn < s->claims &&
	       (slot = &s->slots[s->turn % WINDOW])->done) {
		s->waiting -= slot->scan.builder.entries.count;
		s->error = scan_put(s, slot);
		slot_clear(slot);
		s->turn++;
	}
	if (s->error)
		s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
}

static void *scan_work(void *context)
{
	struct scan *s = context;
	struct slot *slot;

	while ((slot = scan_claim(s))) {
		slot->error = slot_run(s, slot);
		scan_hand_in(s, slot);
	}
	return NULL;
}

/* ---- the whole ---- */

static void scan_release(struct scan *s)
{
	tree_writer_release(&s->writer);
	vec_free(&s->previous_dirs);
	for (size_t i = 0; i < WINDOW; i++) {
		slot_clear(&s->slots[i]);
		dir_scan_release(&s->slots[i].scan);
		vec_free(&s->slots[i].above);
	}
	xattr_reader_release(&s->xattrs);
	mount_types_release(&s->mounts);
	pthread_mutex_destroy(&s->mutex);
	pthread_mutex_destroy(&s->count_mutex);
	pthread_cond_destroy(&s->changed);
	free(s);
}

DEFINE_CLEANUP(struct scan, scan_release)

/* Puts in the root itself. */
static int scan_root(struct scan *s, int root_fd, const char *root_path)
{
	const struct tree_scan_options *o = s->options;
	const struct tree_clock clock = { o->clamp_time, o->latest_time };
	_cleanup_(dir_builder_release) struct dir_builder builder = { 0 };
	struct entry *root = dir_builder_add(&builder, "", 0);
	struct statx stx;
	struct tree *t;
	int r;

	if (!root)
		return diag_set(s->diag, -ENOMEM, root_path, NULL);
	if (statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
		return diag_set(s->diag, -errno, root_path, NULL);
	if (!S_ISDIR(stx.stx_mode))
		return diag_set(s->diag, -ENOTDIR, root_path,
				"is not a directory");
	root->dev = statx_device(&stx);
	root->graft = s->grafts ? 0 : BUILDER_NONE;
	dir_scan_fill_node(o, &stx, &root->node);
	r = xattr_reader_init(&s->xattrs, o->xattrs, root_fd);
	if (r == 0)
		r = xattrs_scan(&s->xattrs, &builder, root, root_fd, ".");
	else if (diag_has_sink(s->diag)) /* reported once, not per entry */
		s->xattrs.which = TREE_XATTRS_NONE;
	if (r < 0)
		r = diag_set(s->diag, r, root_path, "%s",
			     *s->xattrs.reason ? s->xattrs.reason
					       : strerror(-r));
	r = diag_report(s->diag, r);
	if (r < 0)
		return r;
	for (size_t i = 0; i < WINDOW; i++)
		s->slots[i].scan.xattrs = xattr_reader_like(&s->xattrs);
	r = tree_writer_begin(&s->writer, &builder, &clock);
	if (r == 0 &&
	    (!vec_push(&s->previous_dirs) || !vec_push(&s->previous_dirs)))
		r = -ENOMEM;
	if (r < 0)
		return diag_set(s->diag, r, root_path, NULL);
	s->next = 1;
	if (o->previous)
		s->previous_dirs.items[1] =
			(struct previous_dir){ 1, has_changed(o, TREE_ROOT) };
	t = s->writer.tree;
	t->cross_mounts = o->cross_mounts;
	atomic_store(&t->own_dev, o->own_dev);
	t->root_path = strdup(root_path);
	t->opener = opener_ref(o->opener);
	t->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if (!t->root_path || t->root_fd < 0)
		return diag_set(s->diag, t->root_path ? -errno : -ENOMEM,
				root_path, NULL);
	return 0;
}

/*
 * Scans what is known to have changed, and adds to rescan the directories that
 * changed with it.
 */
static int scan_once(int root_fd, const char *root_path,
		     const struct tree_scan_options *options,
		     const struct tree_builder *grafts, struct tree **ret_tree,
		     struct link_rescan *rescan, struct diag *diag)
{
	_cleanup_(scan_releasep) struct scan *s = calloc(1, sizeof(*s));
	unsigned threads = options->threads ? options->threads
					    : threads_cores();
	int r;

	if (!s)
		return diag_set(diag, -ENOMEM, root_path, NULL);
	s->options = options;
	s->grafts = grafts;
	s->diag = diag;
	s->euid = geteuid();
	mount_types_init(&s->mounts,
			 options->mountinfo > 0 ? options->mountinfo : -1);
	s->max_threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	for (size_t i = 0; i < WINDOW; i++)
		slot_clear(&s->slots[i]);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->count_mutex, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = scan_root(s, root_fd, root_path);
	if (r < 0)
		return r;
	scan_work(s);
	/* After the last claim, no thread starts another one. */
	for (unsigned i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
	if (s->error)
		return s->error;
	if (options->previous &&
	    link_rescan_find(rescan, s->writer.tree, options->previous,
			     s->previous_dirs.items) < 0)
		return diag_set(diag, -ENOMEM, root_path, NULL);
	*ret_tree = tree_writer_end(&s->writer);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	tree_id x = *(const tree_id *)a;
	tree_id y = *(const tree_id *)b;

	return (x > y) - (x < y);
}

int tree_scan(int root_fd, const char *root_path,
	      const struct tree_scan_options *options,
	      struct tree_builder *grafts, struct tree **ret_tree,
	      struct diag *diag)
{
	_cleanup_(link_rescan_release) struct link_rescan rescan = { 0 };
	struct tree_scan_options more = *options;
	struct tree *tree = NULL;
	size_t n = options->n_changed;

	/* The directories that changed, and those that hard links add. */
	if (vec_reserve(&rescan.dirs, n + 1) < 0)
		return diag_set(diag, -ENOMEM, root_path, NULL);
	if (n > 0)
		memcpy(rescan.dirs.items, options->changed,
		       n * sizeof(tree_id));
	rescan.dirs.count = n;
	for (;;) {
		int r;

		more.changed = rescan.dirs.items;
		more.n_changed = n;
		r = scan_once(root_fd, root_path, &more, grafts, &tree, &rescan,
			      diag);
		if (r < 0)
			return r;
		if (rescan.dirs.count == n)
			break;
		tree_free(tree);
		n = rescan.dirs.count;
		qsort(rescan.dirs.items, n, sizeof(tree_id), by_number);
	}
	if (grafts)
		tree_builder_clear(grafts);
	*ret_tree = tree;
	return 0;
}
