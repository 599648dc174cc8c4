/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "tree/links.h"
#include "tree/origin.h"

/* ---- being there ---- */

static void more_free(struct dir_more *more)
{
	if (!more)
		return;
	for (size_t i = 0; i < more->sources.count; i++)
		content_source_unref(more->sources.items[i]);
	vec_free(&more->sources);
	vec_free(&more->extents);
	vec_free(&more->runs);
	vec_free(&more->devices);
	xattr_sets_release(&more->xattrs);
	free(more);
}

struct dir *dir_ref(struct dir *dir)
{
	atomic_fetch_add_explicit(&dir->users, 1, memory_order_relaxed);
	return dir;
}

void dir_unref(struct dir *dir)
{
	if (!dir || atomic_fetch_sub(&dir->users, 1) > 1)
		return;
	more_free(dir->more);
	free(dir);
}

DEFINE_CLEANUP(struct dir, dir_unref)

/* ---- from a builder ---- */

/* A directory while it is filled. */
struct filling {
	struct dir *dir;
	const struct dir_builder *builder;
	size_t names_len;
	struct xattr_index xattrs;
	struct links devices; /* their numbers */
};

static struct dir_more *get_more(struct dir *dir)
{
	if (!dir->more)
		dir->more = calloc(1, sizeof(*dir->more));
	return dir->more;
}

static uint64_t put_bytes(struct filling *f, const char *bytes, size_t len)
{
	uint64_t at = f->names_len;

	if (len > 0)
		memcpy(f->dir->names + at, bytes, len);
	f->names_len += len;
	return at;
}

/*
 * Most entries are of one device: that of the first. Mount points, and
 * subvolumes of btrfs, may each have their own.
 */
static int put_device(struct filling *f, uint64_t dev, uint32_t *ret_number)
{
	struct dir_more *more;
	uint64_t *d;

	*ret_number = 0;
	if (dev == f->dir->dev)
		return 0;
	more = get_more(f->dir);
	if (!more ||
	    links_intern(&f->devices, 0, dev, (uint32_t)more->devices.count + 1,
			 ret_number) < 0)
		return -ENOMEM;
	if (*ret_number <= more->devices.count)
		return 0;
	d = vec_push(&more->devices);
	if (!d)
		return -ENOMEM;
	*d = dev;
	return 0;
}

static int put_xattrs(struct filling *f, const struct entry *e,
		      struct node *node)
{
	struct dir_more *more = get_more(f->dir);

	if (!more)
		return -ENOMEM;
	return xattr_sets_intern(&more->xattrs, &f->xattrs,
				 f->builder->xattrs.items + e->first_xattr,
				 e->xattrs_len, &node->xattrs);
}

static int put_runs(struct filling *f, const struct entry *e, struct node *node)
{
	struct dir_more *more = get_more(f->dir);
	struct runs *runs;

	if (!more || vec_reserve(&more->extents, e->n_extents) < 0)
		return -ENOMEM;
	runs = vec_push(&more->runs);
	if (!runs)
		return -ENOMEM;
	*runs = (struct runs){ more->extents.count, e->n_extents };
	if (e->n_extents > 0)
		memcpy(more->extents.items + more->extents.count,
		       f->builder->extents.items + e->first_extent,
		       e->n_extents * sizeof(*more->extents.items));
	more->extents.count += e->n_extents;
	node->file.runs = (uint32_t)more->runs.count;
	f->dir->sparse++;
	return 0;
}

static int put_source(struct filling *f, const struct entry *e,
		      struct node *node)
{
	struct dir_more *more = get_more(f->dir);
	struct content_source **source = more ? vec_push(&more->sources) : NULL;

	if (!source)
		return -ENOMEM;
	*source = e->source;
	atomic_fetch_add(&e->source->users, 1);
	node->file.source = (uint32_t)more->sources.count;
	return 0;
}

static int put_file(struct filling *f, const struct entry *e, struct node *node)
{
	node->file.source = node->file.runs = 0;
	if (e->sparse && put_runs(f, e, node) < 0)
		return -ENOMEM;
	return e->source ? put_source(f, e, node) : 0;
}

static int put_entry(struct filling *f, const struct entry *e)
{
	const char *names = f->builder->names.items;
	struct node *n = &f->dir->nodes[f->dir->count++];

	*n = e->node;
	n->name = put_bytes(f, names + e->node.name, e->node.name_len);
	n->xattrs = 0;
	if (put_device(f, e->dev, &n->dev) < 0)
		return -ENOMEM;
	if (e->xattrs_len > 0 && put_xattrs(f, e, n) < 0)
		return -ENOMEM;
	f->dir->linked += (n->flags & NODE_LINKED) != 0;
	f->dir->mounted += (n->flags & NODE_MOUNTED) != 0;
	f->dir->leads_out |= (n->flags & NODE_LEADS_OUT) != 0;
	f->dir->grafted |= (n->flags & NODE_GRAFT) || e->graft != BUILDER_NONE;
	if (S_ISDIR(n->mode))
		n->subdir = f->dir->subdirs++;
	else if (S_ISLNK(n->mode))
		n->target = put_bytes(f, names + e->node.target, n->size);
	else if (S_ISREG(n->mode))
		return put_file(f, e, n);
	return 0;
}

static struct dir *dir_alloc(const struct dir_builder *builder)
{
	size_t n = builder->order.count;
	size_t size;
	struct dir *dir;

	if (__builtin_mul_overflow(n, sizeof(struct node), &size) ||
	    __builtin_add_overflow(size, sizeof(*dir) + builder->names.count,
				   &size))
		return NULL;
	dir = malloc(size);
	if (!dir)
		return NULL;
	memset(dir, 0, sizeof(*dir));
	atomic_init(&dir->users, 1);
	dir->watch = TREE_NOT_HOST;
	dir->names = (char *)(dir->nodes + n);
	if (n > 0)
		dir->dev = dir_builder_at(builder, 0)->dev;
	return dir;
}

int dir_new(struct dir **ret_dir, const struct dir_builder *builder,
	    const struct tree_clock *clock)
{
	_cleanup_(dir_unrefp) struct dir *dir = dir_alloc(builder);
	struct filling f = { .dir = dir, .builder = builder };
	int r = dir ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < builder->order.count; i++)
		r = put_entry(&f, dir_builder_at(builder, i));
	xattr_index_release(&f.xattrs);
	links_release(&f.devices);
	if (r < 0)
		return r;
	dir_digest(dir, clock);
	*ret_dir = take_ptr(dir);
	return 0;
}

/* ---- looking into it ---- */

const struct node *dir_find(const struct dir *dir, const char *name, size_t len)
{
	uint32_t lo = 0;
	uint32_t hi = dir->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct node *n = &dir->nodes[mid];
		int c = name_compare(name, len, node_name(dir, n), n->name_len);

		if (c == 0)
			return n;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

bool node_same(const struct dir *dir, const struct node *node,
	       const struct dir *other_dir, const struct node *other)
{
	return node->ino == other->ino && node->size == other->size &&
	       node->mtime == other->mtime &&
	       node->mtime_ns == other->mtime_ns &&
	       node->ctime == other->ctime &&
	       node->ctime_ns == other->ctime_ns &&
	       node_device(dir, node) == node_device(other_dir, other);
}

bool dir_equal(const struct dir *a, const struct dir *b)
{
	if (a == b)
		return true;
	if (a->count != b->count ||
	    memcmp(a->digest, b->digest, sizeof(a->digest)) != 0)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->nodes[i].flags != b->nodes[i].flags ||
		    !node_same(a, &a->nodes[i], b, &b->nodes[i]))
			return false;
	return true;
}
