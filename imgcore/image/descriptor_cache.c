/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/descriptor_cache.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "image/descriptor_budget.h"
#include "image/pinned_file.h"
#include "image/pinned_files.h"
#include "image/stale.h"
#include "image/watch.h"
#include "imgcore/diag.h"

/*
 * Each entry holds one open file, pinned by the threads that read it. A read of
 * another file takes the entry over if no thread reads its file, and otherwise
 * does without. No lock: in an entry that no thread owns, only the pins change.
 */
#define ENTRIES 128u
#define OWNED	(1u << 31) /* in pins: one thread changes the entry */

struct entry {
	alignas(64) atomic_uint pins;
	int fd; /* -1: none */
	tree_id node;
	const struct tree *tree;
};

struct descriptor_cache {
	struct entry entries[ENTRIES];
	struct pinned_files *pinned;
	struct descriptor_budget *descriptors;
	struct watch *watch; /* or NULL */
	uint64_t since;
	bool serve_stale;
	struct stale_list stale;
};

int descriptor_cache_new(struct descriptor_cache **ret_files, bool serve_stale)
{
	struct descriptor_cache *f =
		aligned_alloc(alignof(struct descriptor_cache), sizeof(*f));

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < ENTRIES; i++) {
		f->entries[i] = (struct entry){ .fd = -1 };
		atomic_init(&f->entries[i].pins, 0);
	}
	f->pinned = NULL;
	f->watch = NULL;
	f->since = 0;
	f->serve_stale = serve_stale;
	f->descriptors = descriptor_budget_new();
	if (!f->descriptors || descriptor_budget_join(f->descriptors, f) < 0) {
		descriptor_budget_unref(f->descriptors);
		free(f);
		return -ENOMEM;
	}
	stale_init(&f->stale);
	*ret_files = f;
	return 0;
}

void descriptor_cache_free(struct descriptor_cache *files)
{
	if (!files)
		return;
	descriptor_budget_leave(files->descriptors, files);
	descriptor_budget_unref(files->descriptors);
	for (size_t i = 0; i < ENTRIES; i++)
		base_closep(&files->entries[i].fd);
	pinned_files_free(files->pinned);
	watch_unref(files->watch);
	stale_release(&files->stale);
	free(files);
}

void descriptor_cache_pin(struct descriptor_cache *files,
			  struct pinned_files *pinned)
{
	pinned_files_free(files->pinned);
	files->pinned = pinned;
}

int descriptor_cache_share(struct descriptor_cache *files,
			   const struct descriptor_cache *others)
{
	int r = descriptor_budget_join(others->descriptors, files);

	if (r < 0)
		return r;
	descriptor_budget_leave(files->descriptors, files);
	descriptor_budget_unref(files->descriptors);
	files->descriptors = descriptor_budget_ref(others->descriptors);
	return 0;
}

void descriptor_cache_watch(struct descriptor_cache *files, struct watch *watch,
			    uint64_t since)
{
	watch_unref(files->watch);
	files->watch = watch ? watch_ref(watch) : NULL;
	files->since = since;
}

struct descriptor_budget *descriptor_cache_descriptors(
	const struct descriptor_cache *files)
{
	return files->descriptors;
}

const struct pinned_files *descriptor_cache_pinned(
	const struct descriptor_cache *files)
{
	return files->pinned;
}

struct stale_list *descriptor_cache_stale(struct descriptor_cache *files)
{
	return &files->stale;
}

static struct entry *entry_of(struct descriptor_cache *files,
			      const struct tree *tree, tree_id node)
{
	uint32_t h = node ^ (uint32_t)((uintptr_t)tree >> 4);

	return &files->entries[(h * UINT32_C(0x9e3779b1) >> 16) % ENTRIES];
}

static void entry_unpin(struct entry *entry)
{
	atomic_fetch_sub_explicit(&entry->pins, 1, memory_order_release);
}

/* True, and pinned, if the entry holds that file. */
static bool entry_pin(struct entry *entry, const struct tree *tree,
		      tree_id node)
{
	unsigned pins = atomic_fetch_add_explicit(&entry->pins, 1,
						  memory_order_acquire);

	if (!(pins & OWNED) && entry->fd >= 0 && entry->tree == tree &&
	    entry->node == node)
		return true;
	entry_unpin(entry);
	return false;
}

/* Puts fd into an entry that no thread uses; gives what was there, or fd. */
static int entry_exchange(struct entry *entry, const struct tree *tree,
			  tree_id node, int fd)
{
	unsigned none = 0;
	int old;

	if (!atomic_compare_exchange_strong_explicit(&entry->pins, &none, OWNED,
						     memory_order_acquire,
						     memory_order_relaxed))
		return fd;
	old = entry->fd;
	entry->fd = fd;
	entry->tree = tree;
	entry->node = node;
	atomic_fetch_sub_explicit(&entry->pins, OWNED, memory_order_release);
	return old;
}

/* Closes all files that nobody reads at the moment. */
static void drop(struct descriptor_cache *files)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		int fd = entry_exchange(&files->entries[i], NULL, TREE_NONE,
					-1);

		base_closep(&fd);
	}
}

void descriptor_cache_drop(struct descriptor_cache *files)
{
	descriptor_budget_drop(files->descriptors, drop);
}

/* One read of one file. */
struct reading {
	struct tree_check check;
	struct descriptor_cache *files;
	struct pinned_file *pinned; /* NULL: it is not kept open */
};

static int open_file(struct descriptor_cache *files, const struct tree *tree,
		     tree_id node, struct tree_dir *dir, int *ret_fd,
		     struct diag *diag)
{
	int r = tree_open_host_in(tree, node, dir, ret_fd, diag);

	if (r == -EMFILE || r == -ENFILE) {
		descriptor_cache_drop(files);
		diag_clear(diag);
		r = tree_open_host_in(tree, node, dir, ret_fd, diag);
	}
	if (r == -ESTALE)
		stale_add(&files->stale, tree, node);
	return r;
}

static int verify(const struct tree_check *check, const struct tree *tree,
		  tree_id node, int fd, struct diag *diag)
{
	const struct reading *rd = (const struct reading *)check;
	const char *name;
	int32_t watch;
	size_t len;

	if (rd->pinned)
		return pinned_file_verify(rd->pinned, tree, node, diag);
	if (tree_verify_host(tree, node, fd, NULL) == 0)
		return 0;
	/* Only its change time differs, and events show why. */
	if (tree_same_but_ctime(tree, node, fd) &&
	    tree_watched_name(tree, node, &watch, &name, &len) &&
	    watch_unwritten(rd->files->watch, fd, watch, name, len,
			    rd->files->since) == WATCH_UNWRITTEN)
		return 0;
	return tree_verify_host(tree, node, fd, diag);
}

static int read_opened(const struct reading *rd, const struct tree *tree,
		       tree_id node, int fd, void *buf, size_t len,
		       uint64_t offset, struct diag *diag)
{
	int r = tree_read_opened(tree, node, fd, &rd->check, buf, len, offset,
				 diag);

	if (r == -ESTALE || r == 1)
		stale_add(&rd->files->stale, tree, node);
	return r;
}

int descriptor_cache_read(struct descriptor_cache *files,
			  const struct tree *tree, tree_id node,
			  struct tree_dir *dir, void *buf, size_t len,
			  uint64_t offset, struct diag *diag)
{
	const struct reading rd = {
		.check = { verify, files->serve_stale },
		.files = files,
		.pinned = pinned_files_find(files->pinned, tree, node),
	};
	struct entry *entry = entry_of(files, tree, node);
	_cleanup_close_ int fd = -1;
	int r;

	if (rd.pinned) {
		r = read_opened(&rd, tree, node,
				pinned_file_descriptor(rd.pinned), buf, len,
				offset, diag);
	} else if (!dir && entry_pin(entry, tree, node)) {
		r = read_opened(&rd, tree, node, entry->fd, buf, len, offset,
				diag);
		entry_unpin(entry);
	} else {
		r = open_file(files, tree, node, dir, &fd, diag);
		if (r < 0)
			return r;
		r = read_opened(&rd, tree, node, fd, buf, len, offset, diag);
		/* Not cached if it is across a mount, which would stay busy. */
		if (r == 0 && !dir && !tree_across(tree, node))
			fd = entry_exchange(entry, tree, node, fd);
	}
	return r < 0 ? r : 0;
}
