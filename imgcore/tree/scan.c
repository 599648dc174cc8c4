/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "tree/assembly.h"
#include "tree/scan_dir.h"

/*
 * The queue of directories is the tree itself: a thread claims the next
 * directory in the order of nodes, scans it into a slot without any lock, and
 * whoever holds the earliest claim appends its entries, which are the next
 * directories to claim. Claims are numbered and appended in that order, so the
 * tree is the same for any number of threads, and so is the error: that of the
 * first directory in order, whichever thread met one first.
 *
 *     nodes   | appended .............. | scanned, or being scanned | to claim
 *     claims                            ^ turn                      ^ claims
 *
 * Each directory is opened anew by its path from the root: a thread takes two
 * descriptors, however deep the tree.
 */

/* How far the claims may run ahead of a directory that takes its time ... */
#define WINDOW 64u
/* ... and how many entries may wait for it. */
#define MAX_WAITING  65536u
#define REPORT_EVERY 1024u

struct slot {
	struct dir_scan scan;
	tree_id dir;
	char *path;
	bool on_host;
	bool done;
	int error;
};

struct scan {
	const struct tree_scan_options *options;
	uid_t euid;
	struct xattr_reader xattrs; /* the root's */

	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct assembly assembly;
	struct diag *diag; /* of error */
	int error; /* the scan's: no more is appended */
	bool stop; /* a directory failed: no more are claimed */
	size_t next; /* to claim, of the tree's directories */
	uint64_t claims;
	uint64_t turn;
	size_t waiting; /* entries scanned out of turn */
	struct slot slots[WINDOW]; /* of claims turn ... claims - 1 */
	pthread_t threads[THREADS_MAX];
	unsigned n_threads; /* started, but for the caller's */
	unsigned max_threads;

	pthread_mutex_t count_mutex;
	uint64_t entries;
};

/* ---- threads ---- */

static void *scan_work(void *context);

/*
 * One thread more; if none can be had, those that run do all of it. Each has a
 * table of descriptors of its own: in a shared one the kernel counts every use
 * of the directory's, for every entry. Where that is forbidden, it does.
 */
static void *scan_thread(void *context)
{
	(void)unshare(CLONE_FILES);
	return scan_work(context);
}

static void scan_start_thread(struct scan *s)
{
	if (threads_start(&s->threads[s->n_threads], scan_thread, s) == 0)
		s->n_threads++;
	else
		s->max_threads = 0;
}

static void scan_join(struct scan *s)
{
	/* No thread starts others behind the last claim. */
	for (unsigned i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
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

/* ---- claims ---- */

static struct slot *scan_slot(struct scan *s, uint64_t claim)
{
	return &s->slots[claim % WINDOW];
}

/* Whether there is a directory to claim. */
static bool scan_has_next(const struct scan *s)
{
	return s->next < s->assembly.tree->lists[TREE_LIST_DIRS].count;
}

static bool scan_has_room(const struct scan *s)
{
	return s->claims == s->turn ||
	       (s->claims - s->turn < WINDOW && s->waiting < MAX_WAITING);
}

/* What the scan of a directory must know, since nodes move. */
static void slot_fill(struct scan *s, struct slot *slot, size_t dir)
{
	const struct tree *t = s->assembly.tree;
	tree_id id = t->lists[TREE_LIST_DIRS].items[dir];
	const struct node *n = &t->nodes.items[id];

	slot->dir = id;
	slot->on_host = !(n->flags & (NODE_GRAFT | NODE_UNSCANNED));
	if (!slot->on_host)
		return;
	slot->error = tree_path(t, id, &slot->path);
	slot->scan.options = s->options;
	slot->scan.root_fd = t->root_fd;
	slot->scan.root_path = t->root_path;
	slot->scan.path = slot->path;
	slot->scan.dev = t->devices.items[n->dev];
	slot->scan.ino = n->ino;
	slot->scan.euid = s->euid;
	slot->scan.count = s->options->progress ? report : NULL;
	slot->scan.context = s;
}

static void slot_clear(struct slot *slot)
{
	dir_scan_clear(&slot->scan);
	free(slot->path);
	slot->path = NULL;
	slot->done = false;
	slot->error = 0;
}

/* The next directory; NULL: there will be none any more. */
static struct slot *scan_claim(struct scan *s)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&s->mutex);
	while (!s->stop) {
		bool has_next = scan_has_next(s);

		if (has_next && scan_has_room(s)) {
			slot = scan_slot(s, s->claims++);
			slot_fill(s, slot, s->next++);
			if (s->n_threads + 1 < s->max_threads &&
			    scan_has_next(s))
				scan_start_thread(s);
			break;
		}
		if (!has_next && s->claims == s->turn)
			break;
		pthread_cond_wait(&s->changed, &s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return slot;
}

/* Appends the slot whose turn it is. */
static int scan_append(struct scan *s, struct slot *slot)
{
	if (slot->error < 0) {
		if (s->diag) {
			diag_clear(s->diag);
			*s->diag = slot->scan.diag;
			slot->scan.diag = (struct diag)DIAG_INIT;
		}
		return slot->error;
	}
	s->assembly.tree->skipped += slot->scan.skipped;
	return assembly_append(&s->assembly, slot->dir, &slot->scan.batch,
			       s->diag);
}

/* Hands a slot in, and appends all whose turn has come. */
static void scan_hand_in(struct scan *s, struct slot *slot)
{
	pthread_mutex_lock(&s->mutex);
	slot->done = true;
	s->waiting += slot->scan.batch.entries.count;
	if (slot->error < 0)
		s->stop = true;
	while (!s->error && s->turn < s->claims &&
	       (slot = scan_slot(s, s->turn))->done) {
		s->waiting -= slot->scan.batch.entries.count;
		s->error = scan_append(s, slot);
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
		if (slot->on_host && slot->error == 0)
			slot->error = dir_scan_run(&slot->scan);
		scan_hand_in(s, slot);
	}
	return NULL;
}

/* ---- the whole ---- */

static void scan_release(struct scan *s)
{
	assembly_release(&s->assembly);
	for (size_t i = 0; i < WINDOW; i++) {
		slot_clear(&s->slots[i]);
		dir_scan_release(&s->slots[i].scan);
	}
	xattr_reader_release(&s->xattrs);
	pthread_mutex_destroy(&s->mutex);
	pthread_mutex_destroy(&s->count_mutex);
	pthread_cond_destroy(&s->changed);
	free(s);
}

DEFINE_CLEANUP(struct scan, scan_release)

static struct scan *scan_new(const struct tree_scan_options *options,
			     struct diag *diag)
{
	struct scan *s = calloc(1, sizeof(*s));
	unsigned threads = options->threads ? options->threads
					    : threads_cores();

	if (!s)
		return NULL;
	s->options = options;
	s->diag = diag;
	s->euid = geteuid();
	s->max_threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->count_mutex, NULL);
	pthread_cond_init(&s->changed, NULL);
	return s;
}

static int scan_root_xattrs(struct scan *s, int root_fd, const char *root_path)
{
	_cleanup_(batch_release) struct batch batch = { 0 };
	struct entry root = { .dev = s->assembly.tree->devices.items[0] };
	int r = xattr_reader_init(&s->xattrs, s->options->xattrs, root_fd);

	if (r == 0)
		r = xattrs_scan(&s->xattrs, &batch, &root, root_fd, ".");
	if (r == 0)
		r = assembly_root_xattrs(&s->assembly, batch.xattrs.items,
					 root.xattrs_len);
	if (r < 0)
		return diag_set(s->diag, r, root_path, "%s",
				*s->xattrs.reason ? s->xattrs.reason
						  : strerror(-r));
	for (size_t i = 0; i < WINDOW; i++)
		s->slots[i].scan.xattrs = xattr_reader_like(&s->xattrs);
	return 0;
}

static int scan_begin(struct scan *s, int root_fd, const char *root_path,
		      struct tree_builder *grafts)
{
	struct node root = { 0 };
	struct statx stx;
	struct tree *t;
	int r;

	if (statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
		return diag_set(s->diag, -errno, root_path, NULL);
	if (!S_ISDIR(stx.stx_mode))
		return diag_set(s->diag, -ENOTDIR, root_path,
				"is not a directory");
	scan_fill_node(s->options, &stx, &root);
	r = assembly_begin(&s->assembly, &root, scan_device(&stx), grafts);
	if (r < 0)
		return diag_set(s->diag, r, root_path, NULL);
	t = s->assembly.tree;
	t->clamp_time = s->options->clamp_time;
	t->latest_time = s->options->latest_time;
	t->root_path = strdup(root_path);
	t->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if (!t->root_path || t->root_fd < 0)
		return diag_set(s->diag, t->root_path ? -errno : -ENOMEM,
				root_path, NULL);
	return scan_root_xattrs(s, root_fd, root_path);
}

int tree_scan(int root_fd, const char *root_path,
	      const struct tree_scan_options *options,
	      struct tree_builder *grafts, struct tree **ret_tree,
	      struct diag *diag)
{
	_cleanup_(scan_releasep) struct scan *s = scan_new(options, diag);
	int r;

	if (!s)
		return diag_set(diag, -ENOMEM, root_path, NULL);
	r = scan_begin(s, root_fd, root_path, grafts);
	if (r < 0)
		return r;
	scan_work(s);
	scan_join(s);
	if (s->error)
		return s->error;
	*ret_tree = assembly_end(&s->assembly);
	return 0;
}
