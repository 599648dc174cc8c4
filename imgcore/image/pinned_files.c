/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/pinned_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "image/descriptor_budget.h"
#include "image/pinned_file.h"
#include "image/watch.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/* Limit of files with several names that are kept besides those of a boot. */
#define LINKED_MAX 4096u

struct entry {
	enum image_part part;
	tree_id node; /* the inode's */
	tree_id name; /* one of its names: the first may lie elsewhere */
	struct pinned_file *file;
};

struct pinned_files {
	const struct tree *trees[IMAGE_PARTS];
	struct descriptor_budget *descriptors;
	struct {
		struct entry *items;
		size_t count, size;
	} entries; /* sorted by part and node */
};

DEFINE_CLEANUP(struct pinned_files, pinned_files_free)

/* ---- all of them ---- */

static void drop(struct pinned_files *pinned, struct pinned_file *file)
{
	if (pinned_file_unref(file))
		descriptor_budget_give(pinned->descriptors);
}

void pinned_files_free(struct pinned_files *pinned)
{
	if (!pinned)
		return;
	for (size_t i = 0; i < pinned->entries.count; i++)
		drop(pinned, pinned->entries.items[i].file);
	descriptor_budget_unref(pinned->descriptors);
	vec_free(&pinned->entries);
	free(pinned);
}

size_t pinned_files_count(const struct pinned_files *pinned)
{
	return pinned ? pinned->entries.count : 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

static void sort(struct pinned_files *pinned)
{
	if (pinned->entries.count > 0)
		qsort(pinned->entries.items, pinned->entries.count,
		      sizeof(struct entry), compare_entries);
}

/* A file that was met by several of its names is there once in the end. */
static void drop_doubles(struct pinned_files *pinned)
{
	struct entry *e = pinned->entries.items;
	size_t n = 0;

	for (size_t i = 0; i < pinned->entries.count; i++) {
		if (n > 0 && compare_entries(&e[n - 1], &e[i]) == 0)
			drop(pinned, e[i].file);
		else
			e[n++] = e[i];
	}
	pinned->entries.count = n;
}

/* Among the first n, which are sorted. */
static struct entry *find_among(const struct pinned_files *pinned, size_t n,
				enum image_part part, tree_id node)
{
	const struct entry key = { .part = part, .node = node };

	if (n == 0)
		return NULL;
	return bsearch(&key, pinned->entries.items, n, sizeof(key),
		       compare_entries);
}

struct pinned_file *pinned_files_find(const struct pinned_files *pinned,
				      const struct tree *tree, tree_id node)
{
	const struct entry *e = NULL;

	if (!pinned || pinned->entries.count == 0)
		return NULL;
	node = tree_inode(tree, node);
	for (unsigned i = 0; i < IMAGE_PARTS && !e; i++)
		if (tree == pinned->trees[i])
			e = find_among(pinned, pinned->entries.count, i, node);
	return e ? e->file : NULL;
}

/* ---- what an earlier image has open ---- */

/* An empty one needs no reading. */
static bool is_host_file(const struct tree *tree, tree_id node)
{
	struct tree_info info;

	tree_get(tree, node, &info);
	return S_ISREG(info.attr.mode) && info.size > 0 &&
	       !tree_content(tree, node);
}

/* The node of the same path, or TREE_NONE. */
static int counterpart(const struct tree *from, tree_id node,
		       const struct tree *to, tree_id *ret_node)
{
	_cleanup_free_ char *path = NULL;
	int r = tree_path(from, node, &path);

	if (r == 0)
		*ret_node = tree_find(to, path);
	return r;
}

/*
 * Shared if it is what both images show: what has been compared for one counts
 * for the other then. Where both saw the same, nothing needs to be looked at.
 */
static int share(struct pinned_files *pinned,
		 const struct pinned_files *previous, const struct entry *old,
		 struct watch *watch)
{
	const struct tree *from = previous->trees[old->part];
	const struct tree *tree = pinned->trees[old->part];
	struct entry *e;
	tree_id name = TREE_NONE;
	int r = counterpart(from, old->name, tree, &name);

	if (r < 0)
		return r;
	if (name == TREE_NONE || !is_host_file(tree, name))
		return 0;
	/* A mapping may have written to it without a change of its times. */
	if (pinned_file_written(old->file) ||
	    !pinned_file_is_watched(old->file, watch))
		return 0;
	if (!tree_same_file(from, old->node, tree, name) &&
	    (pinned_file_verify(old->file, from, old->node, NULL) < 0 ||
	     tree_verify_host(tree, name, pinned_file_descriptor(old->file),
			      NULL) < 0))
		return 0;
	e = vec_push(&pinned->entries);
	if (!e)
		return -ENOMEM;
	*e = (struct entry){ .part = old->part,
			     .node = tree_inode(tree, name),
			     .name = name,
			     .file = pinned_file_ref(old->file) };
	return 0;
}

static int share_all(struct pinned_files *pinned,
		     const struct pinned_files *previous, struct watch *watch)
{
	for (size_t i = 0; previous && i < previous->entries.count; i++) {
		int r = share(pinned, previous, &previous->entries.items[i],
			      watch);

		if (r < 0)
			return r;
	}
	sort(pinned);
	return 0;
}

/* ---- and what is opened for this one ---- */

struct walk {
	struct pinned_files *pinned;
	size_t shared; /* entries that were there before it */
	size_t budget;
	struct watch *watch; /* or NULL */
	bool full; /* no more descriptors */
	struct tree_dir dir;
	struct {
		struct entry *items;
		size_t count, size;
	} dirs; /* still to be visited; their file is NULL */
	struct diag *diag;
};

static void walk_release(struct walk *w)
{
	tree_dir_release(&w->dir);
	vec_free(&w->dirs);
}

/* What cannot be opened is not kept: who reads it will hear why. */
static int open_verified(struct walk *w, const struct tree *tree, tree_id node,
			 struct pinned_file **ret_file)
{
	_cleanup_(diag_clear) struct diag unread = DIAG_INIT;
	_cleanup_close_ int fd = -1;
	struct pinned_file *file;
	int r = tree_open_host_in(tree, node, &w->dir, &fd, &unread);

	if (r == -ESTALE)
		diag_move(w->diag, &unread);
	if (r == -ESTALE || r == -ENOMEM)
		return r;
	w->full = r == -EMFILE || r == -ENFILE;
	if (r < 0)
		return 0;
	r = pinned_file_new(&file, fd, w->watch);
	if (r < 0)
		return r;
	take_fd(&fd);
	/* Checked after the watch is set, so that no write is missed. */
	r = tree_verify_host(tree, node, pinned_file_descriptor(file), w->diag);
	if (r < 0)
		pinned_file_unref(file);
	else
		*ret_file = file;
	return r;
}

static int keep_file(struct walk *w, enum image_part part, tree_id name)
{
	struct pinned_files *pinned = w->pinned;
	const struct tree *tree = pinned->trees[part];
	struct entry e = {
		.part = part,
		.node = tree_inode(tree, name),
		.name = name,
	};
	int r;

	if (find_among(pinned, w->shared, part, e.node))
		return 0;
	if (vec_reserve(&pinned->entries, 1) < 0)
		return -ENOMEM;
	if (!descriptor_budget_take(pinned->descriptors, w->budget)) {
		w->full = true;
		return 0;
	}
	r = open_verified(w, tree, e.node, &e.file);
	if (e.file)
		*vec_push(&pinned->entries) = e;
	else
		descriptor_budget_give(pinned->descriptors);
	return r;
}

static int visit(struct walk *w, enum image_part part, tree_id node)
{
	const struct tree *tree = w->pinned->trees[part];
	struct tree_info info;
	struct entry *dir;

	tree_get(tree, node, &info);
	if (S_ISDIR(info.attr.mode)) {
		dir = vec_push(&w->dirs);
		if (!dir)
			return -ENOMEM;
		*dir = (struct entry){ .part = part, .node = node };
		return 0;
	}
	return is_host_file(tree, node) ? keep_file(w, part, node) : 0;
}

/*
 * Breadth first, all parts at once: a menu and the kernels come before
 * the modules that lie deeper.
 */
static int open_all(struct walk *w)
{
	for (size_t i = 0; i < w->dirs.count && !w->full; i++) {
		const struct entry dir = w->dirs.items[i];
		struct tree_info info;

		tree_get(w->pinned->trees[dir.part], dir.node, &info);
		for (uint32_t c = 0; c < info.n_children && !w->full; c++) {
			int r = visit(w, dir.part, info.first_child + c);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int visit_top(struct walk *w, enum image_part part, const char *path)
{
	const struct tree *tree = w->pinned->trees[part];
	tree_id top = tree ? tree_find(tree, path) : TREE_NONE;

	return top == TREE_NONE ? 0 : visit(w, part, top);
}

/*
 * Files that had several names when they were scanned: the watches of the
 * tree's directories do not report writes through a name elsewhere.
 */
static int open_linked(struct walk *w, enum image_part part)
{
	const struct tree *tree = w->pinned->trees[part];
	tree_id id = tree ? tree_next_linked(tree, TREE_ROOT) : TREE_NONE;
	size_t most = w->pinned->entries.count + LINKED_MAX;

	while (id != TREE_NONE && !w->full && w->pinned->entries.count < most) {
		int r = tree_inode(tree, id) == id && is_host_file(tree, id)
				? keep_file(w, part, id)
				: 0;

		if (r < 0)
			return r;
		id = tree_next_linked(tree, id + 1);
	}
	return 0;
}

static int keep_all(struct pinned_files *pinned,
		    const struct pinned_files *previous, size_t budget,
		    struct watch *watch, struct diag *diag)
{
	static const struct {
		enum image_part part;
		const char *path;
	} tops[] = {
		{ IMAGE_PART_SYSTEM, PATH_KERNELS },
		{ IMAGE_PART_BOOT, PATH_BOOT },
		{ IMAGE_PART_ARCHIVES, "" },
	};
	_cleanup_(walk_release) struct walk w = {
		.pinned = pinned,
		.budget = budget,
		.watch = watch,
		.dir = TREE_DIR_INIT,
		.diag = diag,
	};
	int r = share_all(pinned, previous, watch);

	w.shared = pinned->entries.count;
	for (size_t i = 0; i < ARRAY_SIZE(tops) && r == 0; i++)
		r = visit_top(&w, tops[i].part, tops[i].path);
	if (r == 0)
		r = open_all(&w);
	for (unsigned i = 0; i < IMAGE_PARTS && r == 0; i++)
		r = open_linked(&w, i);
	return r;
}

int pinned_files_new(struct pinned_files **ret_pinned,
		     const struct tree *const trees[IMAGE_PARTS],
		     const struct pinned_files *previous,
		     struct descriptor_budget *descriptors, size_t budget,
		     struct watch *watch, struct diag *diag)
{
	_cleanup_(pinned_files_freep) struct pinned_files *pinned =
		calloc(1, sizeof(*pinned));
	int r;

	if (!pinned)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	memcpy(pinned->trees, trees, sizeof(pinned->trees));
	pinned->descriptors = descriptor_budget_ref(descriptors);
	r = keep_all(pinned, previous, budget, watch, diag);
	if (r < 0)
		return r == -ESTALE ? r : diag_set(diag, r, NULL, NULL);
	sort(pinned);
	drop_doubles(pinned);
	*ret_pinned = take_ptr(pinned);
	return 0;
}

void pinned_files_watched(const struct pinned_files *pinned,
			  image_watched_fn *found, void *context)
{
	for (size_t i = 0; pinned && i < pinned->entries.count; i++) {
		const struct entry *e = &pinned->entries.items[i];
		int32_t watch = pinned_file_watch(e->file);

		if (watch >= 0)
			found(context, e->part, e->name, watch,
			      pinned_file_descriptor(e->file));
	}
}
