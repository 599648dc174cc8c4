/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/dir_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "tree/links.h"

DEFINE_CLEANUP(struct dir, dir_unref)

void dir_builder_clear(struct dir_builder *builder)
{
	builder->entries.count = 0;
	builder->order.count = 0;
	builder->names.count = 0;
	builder->extents.count = 0;
	builder->xattrs.count = 0;
}

void dir_builder_release(struct dir_builder *builder)
{
	vec_free(&builder->entries);
	vec_free(&builder->order);
	vec_free(&builder->names);
	vec_free(&builder->extents);
	vec_free(&builder->xattrs);
}

int dir_builder_put(struct dir_builder *builder, const char *bytes, size_t len,
		    uint64_t *ret_offset)
{
	/* One byte more, so that there is memory even without names. */
	if (vec_reserve(&builder->names, len + 1) < 0)
		return -ENOMEM;
	if (len > 0)
		memcpy(builder->names.items + builder->names.count, bytes, len);
	*ret_offset = builder->names.count;
	builder->names.count += len;
	return 0;
}

struct entry *dir_builder_add(struct dir_builder *builder, const char *name,
			      size_t len)
{
	struct entry *e;
	uint64_t offset;

	if (dir_builder_put(builder, name, len, &offset) < 0)
		return NULL;
	e = vec_push(&builder->entries);
	if (!e)
		return NULL;
	e->node.name = offset;
	e->node.name_len = (uint8_t)len;
	e->graft = BUILDER_NONE;
	builder->order.count = 0;
	return e;
}

static int put_target(struct dir_builder *builder, struct entry *e,
		      const char *target, size_t len)
{
	uint64_t offset;
	int r = dir_builder_put(builder, target, len, &offset);

	if (r == 0)
		e->node.target = offset;
	return r;
}

static int put_extents(struct dir_builder *builder, struct entry *e,
		       const struct tree_extent *extents, size_t n)
{
	e->sparse = true;
	e->first_extent = builder->extents.count;
	e->n_extents = n;
	if (vec_reserve(&builder->extents, n) < 0)
		return -ENOMEM;
	if (n > 0)
		memcpy(builder->extents.items + builder->extents.count, extents,
		       n * sizeof(*extents));
	builder->extents.count += n;
	return 0;
}

int dir_builder_put_xattrs(struct dir_builder *builder, struct entry *e,
			   const uint8_t *set, size_t len)
{
	if (len == 0)
		return 0;
	if (vec_reserve(&builder->xattrs, len) < 0)
		return -ENOMEM;
	e->first_xattr = builder->xattrs.count;
	e->xattrs_len = len;
	memcpy(builder->xattrs.items + builder->xattrs.count, set, len);
	builder->xattrs.count += len;
	return 0;
}

int dir_builder_add_grafts(struct dir_builder *builder,
			   const struct tree_builder *grafts, builder_id dir)
{
	builder_id id = grafts->items[dir].first_child;

	for (; id != BUILDER_NONE; id = grafts->items[id].next) {
		const struct builder_node *named = &grafts->items[id];
		builder_id file_id = named->link_to == BUILDER_NONE
					     ? id
					     : named->link_to;
		const struct builder_node *file = &grafts->items[file_id];
		const struct tree_attr *attr = &file->attr;
		struct entry *e = dir_builder_add(builder, named->name,
						  named->name_len);
		struct node *n;

		if (!e)
			return -ENOMEM;
		e->graft = id;
		e->dev = BUILDER_DEV;
		e->source = file->source;
		n = &e->node;
		n->ino = file_id;
		n->size = file->size;
		n->mode = (uint16_t)attr->mode;
		n->uid = attr->uid;
		n->gid = attr->gid;
		n->mtime = attr->mtime;
		n->mtime_ns = attr->mtime_ns;
		n->flags = NODE_GRAFT | (file->reserved ? NODE_RESERVED : 0) |
			   (file->linked ? NODE_LINKED : 0);
		if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
			n->device.major = attr->major;
			n->device.minor = attr->minor;
		}
		if ((file->target &&
		     put_target(builder, e, file->target, file->size) < 0) ||
		    (file->extents && put_extents(builder, e, file->extents,
						  file->n_extents) < 0) ||
		    dir_builder_put_xattrs(builder, e, file->xattrs,
					   file->xattrs_len) < 0)
			return -ENOMEM;
	}
	return 0;
}

int dir_builder_add_node(struct dir_builder *builder, const struct dir *dir,
			 const struct node *node)
{
	struct entry *e = dir_builder_add(builder, node_name(dir, node),
					  node->name_len);
	uint64_t name;

	if (!e)
		return -ENOMEM;
	name = e->node.name;
	e->node = *node;
	e->node.name = name;
	/* The grafts set this flag again. */
	e->node.flags &= (uint16_t)~NODE_RESERVED;
	e->dev = node_device(dir, node);
	if (S_ISLNK(node->mode) &&
	    put_target(builder, e, dir->names + node->target, node->size) < 0)
		return -ENOMEM;
	if (S_ISREG(node->mode) && node->file.runs) {
		const struct runs *runs =
			&dir->more->runs.items[node->file.runs - 1];

		if (put_extents(builder, e, runs_extents(dir, runs), runs->n) <
		    0)
			return -ENOMEM;
	}
	if (node->xattrs) {
		size_t len;
		const uint8_t *set = xattr_sets_get(&dir->more->xattrs,
						    node->xattrs, &len);

		return dir_builder_put_xattrs(builder, e, set, len);
	}
	return 0;
}

/* ---- the order of entries ---- */

static const char *entry_name(const struct dir_builder *builder,
			      const struct entry *e)
{
	return builder->names.items + e->node.name;
}

static int compare_names(const struct dir_builder *builder,
			 const struct dir_key *ka, const struct dir_key *kb)
{
	const struct entry *a = &builder->entries.items[ka->entry];
	const struct entry *b = &builder->entries.items[kb->entry];

	if (ka->key != kb->key)
		return ka->key < kb->key ? -1 : 1;
	return name_compare(entry_name(builder, a), a->node.name_len,
			    entry_name(builder, b), b->node.name_len);
}

/* By name. Among those of one name, the host's entry is the first. */
static int compare_keys(const void *pa, const void *pb, void *context)
{
	const struct dir_builder *builder = context;
	const struct dir_key *a = pa;
	const struct dir_key *b = pb;
	int c = compare_names(builder, a, b);

	if (c == 0)
		c = (builder->entries.items[a->entry].node.flags & NODE_GRAFT) -
		    (builder->entries.items[b->entry].node.flags & NODE_GRAFT);
	return c ? c : (a->entry > b->entry) - (a->entry < b->entry);
}

/* Returns how many bytes all names have in common at their start. */
static size_t common_length(const struct dir_builder *builder)
{
	const struct entry *first = builder->entries.items;
	const char *name = entry_name(builder, first);
	size_t len = first->node.name_len;

	for (size_t i = 1; i < builder->entries.count && len > 0; i++) {
		const struct entry *e = first + i;
		const char *other = entry_name(builder, e);
		size_t same = 0;

		if (e->node.name_len < len)
			len = e->node.name_len;
		while (same < len && name[same] == other[same])
			same++;
		len = same;
	}
	return len;
}

/*
 * Sorts keys that are in order, or in reverse order, as a tmpfs lists its
 * entries. false: they are in neither.
 */
static bool sort_listed(struct dir_builder *builder)
{
	struct dir_key *keys = builder->order.items;
	size_t n = builder->order.count;
	size_t rising = 0;

	for (size_t i = 1; i < n; i++) {
		if (compare_keys(&keys[i - 1], &keys[i], builder) < 0)
			rising++;
		if (rising != 0 && rising != i)
			return false;
	}
	for (size_t i = 0; rising == 0 && i < n / 2; i++) {
		struct dir_key key = keys[i];

		keys[i] = keys[n - 1 - i];
		keys[n - 1 - i] = key;
	}
	return true;
}

static int sort_entries(struct dir_builder *builder)
{
	size_t n = builder->entries.count;
	size_t common;

	if (n == 0)
		return 0;
	if (n > UINT32_MAX)
		return -EFBIG;
	if (vec_reserve(&builder->order, n) < 0)
		return -ENOMEM;
	common = common_length(builder);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &builder->entries.items[i];
		const char *name = entry_name(builder, e) + common;
		size_t len = e->node.name_len - common;
		uint64_t key = 0;

		/* The number compares as the bytes do: no name has a NUL. */
		for (size_t k = 0; k < 8; k++)
			key = key << 8 | (k < len ? (uint8_t)name[k] : 0);
		builder->order.items[i] =
			(struct dir_key){ .key = key, .entry = (uint32_t)i };
	}
	builder->order.count = n;
	if (!sort_listed(builder))
		qsort_r(builder->order.items, n, sizeof(struct dir_key),
			compare_keys, builder);
	return 0;
}

int dir_builder_sort(struct dir_builder *builder, struct diag *diag)
{
	struct dir_key *order;
	size_t n = 0;
	int r = sort_entries(builder);

	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	order = builder->order.items;
	for (size_t i = 0; i < builder->order.count; i++) {
		const struct entry *e = &builder->entries.items[order[i].entry];
		struct entry *first;

		if (n == 0 ||
		    compare_names(builder, &order[n - 1], &order[i]) != 0) {
			order[n++] = order[i];
			continue;
		}
		first = &builder->entries.items[order[n - 1].entry];
		if ((first->node.flags & NODE_GRAFT) ||
		    first->graft != BUILDER_NONE)
			return diag_set(diag, -EEXIST, NULL,
					"two entries of the name %.*s",
					(int)e->node.name_len,
					entry_name(builder, e));
		if (S_ISDIR(first->node.mode) && S_ISDIR(e->node.mode)) {
			first->graft = e->graft;
			first->node.flags |= e->node.flags & NODE_RESERVED;
		}
	}
	builder->order.count = n;
	return 0;
}

/* ---- the directory ---- */

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

static uint64_t copy_name(struct filling *f, uint64_t offset, size_t len)
{
	uint64_t at = f->names_len;

	if (len > 0)
		memcpy(f->dir->names + at, f->builder->names.items + offset,
		       len);
	f->names_len += len;
	return at;
}

/*
 * Most entries are on the device of the first one. Mount points, and subvolumes
 * of btrfs, may each have their own.
 */
static int copy_device(struct filling *f, uint64_t dev, uint32_t *ret_number)
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

static int copy_file(struct filling *f, const struct entry *e,
		     struct node *node)
{
	struct dir_more *more = NULL;

	node->file.source = node->file.runs = 0;
	if (e->sparse || e->source) {
		more = get_more(f->dir);
		if (!more)
			return -ENOMEM;
	}
	if (e->sparse) {
		struct runs *runs = vec_push(&more->runs);

		if (!runs || vec_reserve(&more->extents, e->n_extents) < 0)
			return -ENOMEM;
		*runs = (struct runs){ more->extents.count, e->n_extents };
		if (e->n_extents > 0)
			memcpy(more->extents.items + runs->first,
			       f->builder->extents.items + e->first_extent,
			       e->n_extents * sizeof(*more->extents.items));
		more->extents.count += e->n_extents;
		node->file.runs = (uint32_t)more->runs.count;
		f->dir->sparse++;
	}
	if (e->source) {
		struct content_source **source = vec_push(&more->sources);

		if (!source)
			return -ENOMEM;
		*source = e->source;
		atomic_fetch_add(&e->source->users, 1);
		node->file.source = (uint32_t)more->sources.count;
	}
	return 0;
}

static int copy_entry(struct filling *f, const struct entry *e)
{
	struct dir *dir = f->dir;
	struct node *n = &dir->nodes[dir->count++];

	*n = e->node;
	n->name = copy_name(f, e->node.name, e->node.name_len);
	n->xattrs = 0;
	if (copy_device(f, e->dev, &n->dev) < 0)
		return -ENOMEM;
	if (e->xattrs_len > 0 &&
	    (!get_more(dir) ||
	     xattr_sets_intern(&dir->more->xattrs, &f->xattrs,
			       f->builder->xattrs.items + e->first_xattr,
			       e->xattrs_len, &n->xattrs) < 0))
		return -ENOMEM;
	dir->linked += (n->flags & NODE_LINKED) != 0;
	dir->mounted += (n->flags & NODE_MOUNTED) != 0;
	dir->leads_out |= (n->flags & NODE_LEADS_OUT) != 0;
	dir->grafted |= (n->flags & NODE_GRAFT) || e->graft != BUILDER_NONE;
	if (S_ISDIR(n->mode))
		n->subdir = dir->subdirs++;
	else if (S_ISLNK(n->mode))
		n->target = copy_name(f, e->node.target, n->size);
	else if (S_ISREG(n->mode))
		return copy_file(f, e, n);
	return 0;
}

int dir_builder_finish(const struct dir_builder *builder,
		       const struct tree_clock *clock, struct dir **ret_dir)
{
	_cleanup_(dir_unrefp) struct dir *dir = NULL;
	struct filling f = { .builder = builder };
	size_t n = builder->order.count;
	size_t size;
	int r = 0;

	if (__builtin_mul_overflow(n, sizeof(struct node), &size) ||
	    __builtin_add_overflow(size, sizeof(*dir) + builder->names.count,
				   &size))
		return -ENOMEM;
	f.dir = dir = malloc(size);
	if (!dir)
		return -ENOMEM;
	memset(dir, 0, sizeof(*dir));
	atomic_init(&dir->users, 1);
	dir->watch = TREE_NOT_HOST;
	dir->names = (char *)(dir->nodes + n);
	if (n > 0)
		dir->dev = dir_builder_at(builder, 0)->dev;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = copy_entry(&f, dir_builder_at(builder, i));
	xattr_index_release(&f.xattrs);
	links_release(&f.devices);
	if (r < 0)
		return r;
	dir_digest(dir, clock);
	*ret_dir = take_ptr(dir);
	return 0;
}
