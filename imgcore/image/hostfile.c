/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/hostfile.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "image/descriptors.h"
#include "image/kept.h"
#include "image/kept_file.h"
#include "image/stale.h"
#include "image/watch.h"
#include "imgcore/diag.h"

/*
 * Each slot holds one open file, pinned by those who read it. Who comes with
 * another file takes the slot over if nobody reads that one, and does without
 * if somebody does. No lock: in a slot nobody owns, nothing but the pins ever
 * changes.
 */
#define SLOTS 128u
#define OWNED (1u << 31) /* in pins: one thread changes the slot */

struct slot {
	alignas(64) atomic_uint pins;
	int fd; /* -1: none */
	tree_id node;
	const struct tree *tree;
};

struct hostfiles {
	struct slot slots[SLOTS];
	struct kept *kept;
	struct descriptors *descriptors;
	struct watch *watch; /* or NULL */
	uint64_t since;
	bool serve_stale;
	struct stale_list stale;
};

int hostfiles_new(struct hostfiles **ret_files, bool serve_stale)
{
	struct hostfiles *f = aligned_alloc(alignof(struct hostfiles),
					    sizeof(*f));

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < SLOTS; i++) {
		f->slots[i] = (struct slot){ .fd = -1 };
		atomic_init(&f->slots[i].pins, 0);
	}
	f->kept = NULL;
	f->watch = NULL;
	f->since = 0;
	f->serve_stale = serve_stale;
	f->descriptors = descriptors_new();
	if (!f->descriptors || descriptors_join(f->descriptors, f) < 0) {
		descriptors_unref(f->descriptors);
		free(f);
		return -ENOMEM;
	}
	stale_init(&f->stale);
	*ret_files = f;
	return 0;
}

void hostfiles_free(struct hostfiles *files)
{
	if (!files)
		return;
	descriptors_leave(files->descriptors, files);
	descriptors_unref(files->descriptors);
	for (size_t i = 0; i < SLOTS; i++)
		base_closep(&files->slots[i].fd);
	kept_free(files->kept);
	watch_unref(files->watch);
	stale_release(&files->stale);
	free(files);
}

void hostfiles_keep(struct hostfiles *files, struct kept *kept)
{
	kept_free(files->kept);
	files->kept = kept;
}

int hostfiles_share(struct hostfiles *files, const struct hostfiles *others)
{
	int r = descriptors_join(others->descriptors, files);

	if (r < 0)
		return r;
	descriptors_leave(files->descriptors, files);
	descriptors_unref(files->descriptors);
	files->descriptors = descriptors_ref(others->descriptors);
	return 0;
}

void hostfiles_watch(struct hostfiles *files, struct watch *watch,
		     uint64_t since)
{
	watch_unref(files->watch);
	files->watch = watch ? watch_ref(watch) : NULL;
	files->since = since;
}

struct descriptors *hostfiles_descriptors(const struct hostfiles *files)
{
	return files->descriptors;
}

const struct kept *hostfiles_kept(const struct hostfiles *files)
{
	return files->kept;
}

struct stale_list *hostfiles_stale(struct hostfiles *files)
{
	return &files->stale;
}

static struct slot *slot_of(struct hostfiles *files, const struct tree *tree,
			    tree_id node)
{
	uint32_t h = node ^ (uint32_t)((uintptr_t)tree >> 4);

	return &files->slots[(h * UINT32_C(0x9e3779b1) >> 16) % SLOTS];
}

static void slot_unpin(struct slot *slot)
{
	atomic_fetch_sub_explicit(&slot->pins, 1, memory_order_release);
}

/* True, and pinned, if the slot holds that file. */
static bool slot_pin(struct slot *slot, const struct tree *tree, tree_id node)
{
	unsigned pins = atomic_fetch_add_explicit(&slot->pins, 1,
						  memory_order_acquire);

	if (!(pins & OWNED) && slot->fd >= 0 && slot->tree == tree &&
	    slot->node == node)
		return true;
	slot_unpin(slot);
	return false;
}

/* Puts fd into a slot that nobody uses; gives what was there, or fd. */
static int slot_exchange(struct slot *slot, const struct tree *tree,
			 tree_id node, int fd)
{
	unsigned none = 0;
	int old;

	if (!atomic_compare_exchange_strong_explicit(&slot->pins, &none, OWNED,
						     memory_order_acquire,
						     memory_order_relaxed))
		return fd;
	old = slot->fd;
	slot->fd = fd;
	slot->tree = tree;
	slot->node = node;
	atomic_fetch_sub_explicit(&slot->pins, OWNED, memory_order_release);
	return old;
}

/* Closes all files that nobody reads at the moment. */
static void drop(struct hostfiles *files)
{
	for (size_t i = 0; i < SLOTS; i++) {
		int fd = slot_exchange(&files->slots[i], NULL, TREE_NONE, -1);

		base_closep(&fd);
	}
}

void hostfiles_drop(struct hostfiles *files)
{
	descriptors_drop(files->descriptors, drop);
}

/* One read of one file. */
struct reading {
	struct tree_check check;
	struct hostfiles *files;
	struct kept_file *kept; /* NULL: it is not kept open */
};

static int open_file(struct hostfiles *files, const struct tree *tree,
		     tree_id node, struct tree_dir *dir, int *ret_fd,
		     struct diag *diag)
{
	int r = tree_open_host_in(tree, node, dir, ret_fd, diag);

	if (r == -EMFILE || r == -ENFILE) {
		hostfiles_drop(files);
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

	if (rd->kept)
		return kept_file_verify(rd->kept, tree, node, diag);
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

int hostfiles_read(struct hostfiles *files, const struct tree *tree,
		   tree_id node, struct tree_dir *dir, void *buf, size_t len,
		   uint64_t offset, struct diag *diag)
{
	const struct reading rd = {
		.check = { verify, files->serve_stale },
		.files = files,
		.kept = kept_find(files->kept, tree, node),
	};
	struct slot *slot = slot_of(files, tree, node);
	_cleanup_close_ int fd = -1;
	int r;

	if (rd.kept) {
		r = read_opened(&rd, tree, node, kept_file_descriptor(rd.kept),
				buf, len, offset, diag);
	} else if (!dir && slot_pin(slot, tree, node)) {
		r = read_opened(&rd, tree, node, slot->fd, buf, len, offset,
				diag);
		slot_unpin(slot);
	} else {
		r = open_file(files, tree, node, dir, &fd, diag);
		if (r < 0)
			return r;
		r = read_opened(&rd, tree, node, fd, buf, len, offset, diag);
		/* Not cached if it is across a mount, which would stay busy. */
		if (r == 0 && !dir && !tree_across(tree, node))
			fd = slot_exchange(slot, tree, node, fd);
	}
	return r < 0 ? r : 0;
}
