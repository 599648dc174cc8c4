/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/hostfile.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
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
	struct hostfiles *files;
	const struct tree *tree;
	tree_id node;
	uint8_t *buf;
	size_t len;
	uint64_t offset;
	struct diag *diag;
};

static int open_file(const struct reading *rd, struct tree_dir *dir,
		     int *ret_fd)
{
	int r = tree_open_host_in(rd->tree, rd->node, dir, ret_fd, rd->diag);

	if (r == -EMFILE || r == -ENFILE) {
		hostfiles_drop(rd->files);
		diag_clear(rd->diag);
		r = tree_open_host_in(rd->tree, rd->node, dir, ret_fd,
				      rd->diag);
	}
	if (r == -ESTALE)
		stale_add(&rd->files->stale, rd->tree, rd->node);
	return r;
}

/*
 * 1: what there is of a file that is not the one scanned, or -ESTALE. The
 * diagnostic stays, either way.
 */
static int serve(const struct reading *rd, int fd, ssize_t n)
{
	struct stat st;

	if (n < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ESTALE;
	memset(rd->buf + n, 0, rd->len - (size_t)n);
	return 1;
}

/* Whether a file is known to have the bytes that were scanned. */
static bool is_unwritten(const struct reading *rd, int fd)
{
	const char *name;
	int32_t watch;
	size_t len;

	return tree_same_but_ctime(rd->tree, rd->node, fd) &&
	       tree_watched_name(rd->tree, rd->node, &watch, &name, &len) &&
	       watch_unwritten(rd->files->watch, fd, watch, name, len,
			       rd->files->since) == WATCH_UNWRITTEN;
}

static int verify(const struct reading *rd, int fd, struct kept_file *kept)
{
	if (kept)
		return kept_file_verify(kept, rd->tree, rd->node, rd->diag);
	if (tree_verify_host(rd->tree, rd->node, fd, NULL) == 0 ||
	    is_unwritten(rd, fd))
		return 0;
	return tree_verify_host(rd->tree, rd->node, fd, rd->diag);
}

/*
 * Only what is unchanged behind the read was unchanged before it. Whatever went
 * wrong with another file is no news of this one. kept: NULL, or whose
 * descriptor fd is. 1: served although it is stale.
 */
static int read_verified(const struct reading *rd, int fd,
			 struct kept_file *kept)
{
	ssize_t n = io_pread(fd, rd->buf, rd->len, rd->offset);
	int r = verify(rd, fd, kept);

	if (r == -ESTALE)
		stale_add(&rd->files->stale, rd->tree, rd->node);
	if (r == -ESTALE && rd->files->serve_stale)
		return serve(rd, fd, n);
	if (r < 0)
		return r;
	return tree_judge_read(rd->tree, rd->node, n, rd->len, rd->diag);
}

/* Through the cache. */
static int read_part(const struct reading *rd)
{
	struct slot *slot = slot_of(rd->files, rd->tree, rd->node);
	_cleanup_close_ int fd = -1;
	int r;

	if (slot_pin(slot, rd->tree, rd->node)) {
		r = read_verified(rd, slot->fd, NULL);
		slot_unpin(slot);
		return r;
	}
	r = open_file(rd, NULL, &fd);
	if (r < 0)
		return r;
	r = read_verified(rd, fd, NULL);
	/* Not cached: a mount below the tree would stay busy. */
	if (r == 0 && !tree_across(rd->tree, rd->node))
		fd = slot_exchange(slot, rd->tree, rd->node, fd);
	return r;
}

static int read_whole(const struct reading *rd, struct tree_dir *dir)
{
	_cleanup_close_ int fd = -1;
	int r = open_file(rd, dir, &fd);

	return r < 0 ? r : read_verified(rd, fd, NULL);
}

int hostfiles_read(struct hostfiles *files, const struct tree *tree,
		   tree_id node, void *buf, size_t len, uint64_t offset,
		   struct diag *diag)
{
	struct kept_file *kept = kept_find(files->kept, tree, node);
	const struct reading rd = { files, tree, node, buf, len, offset, diag };
	int r = kept ? read_verified(&rd, kept_file_descriptor(kept), kept)
		     : read_part(&rd);

	return r < 0 ? r : 0;
}

int hostfiles_read_whole(struct hostfiles *files, const struct tree *tree,
			 tree_id node, struct tree_dir *dir, void *buf,
			 size_t len, struct diag *diag)
{
	struct kept_file *kept = kept_find(files->kept, tree, node);
	const struct reading rd = { files, tree, node, buf, len, 0, diag };
	int r = kept ? read_verified(&rd, kept_file_descriptor(kept), kept)
		     : read_whole(&rd, dir);

	return r < 0 ? r : 0;
}
