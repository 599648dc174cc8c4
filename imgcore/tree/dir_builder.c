/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/dir_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "tree/origin.h"

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
	dir_builder_clear(builder);
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

/* ---- the order of a builder ---- */

static const char *entry_name(const struct dir_builder *builder,
			      const struct entry *e)
{
	return builder->names.items + e->node.name;
}

/* How many bytes all names begin with. */
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

/* Bytes as a number that compares as they do; no name has a NUL. */
static uint64_t key_of(const char *bytes, size_t len)
{
	uint64_t key = 0;

	for (size_t i = 0; i < 8; i++)
		key = key << 8 | (i < len ? (uint8_t)bytes[i] : 0);
	return key;
}

/* By name; of two of one name the host's first, and the first that came. */
static int order_compare(const void *pa, const void *pb, void *context)
{
	const struct dir_builder *builder = context;
	const struct dir_key *ka = pa;
	const struct dir_key *kb = pb;
	const struct entry *a = &builder->entries.items[ka->entry];
	const struct entry *b = &builder->entries.items[kb->entry];
	int c;

	if (ka->key != kb->key)
		return ka->key < kb->key ? -1 : 1;
	c = name_compare(entry_name(builder, a), a->node.name_len,
			 entry_name(builder, b), b->node.name_len);
	if (c == 0)
		c = (a->node.flags & NODE_GRAFT) - (b->node.flags & NODE_GRAFT);
	return c ? c : (ka->entry > kb->entry) - (ka->entry < kb->entry);
}

/*
 * Sorts keys that came in order, or in the reverse of it, as a tmpfs lists its
 * entries; false: in neither.
 */
static bool sort_listed(struct dir_builder *builder)
{
	struct dir_key *keys = builder->order.items;
	size_t n = builder->order.count;
	size_t rising = 0;

	for (size_t i = 1; i < n; i++) {
		if (order_compare(&keys[i - 1], &keys[i], builder) < 0)
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

		builder->order.items[i] = (struct dir_key){
			.key = key_of(entry_name(builder, e) + common,
				      e->node.name_len - common),
			.entry = (uint32_t)i,
		};
	}
	builder->order.count = n;
	if (sort_listed(builder))
		return 0;
	qsort_r(builder->order.items, n, sizeof(*builder->order.items),
		order_compare, builder);
	return 0;
}

static bool same_name(const struct dir_builder *builder,
		      const struct dir_key *a, const struct dir_key *b)
{
	const struct entry *x = &builder->entries.items[a->entry];
	const struct entry *y = &builder->entries.items[b->entry];

	return a->key == b->key &&
	       name_compare(entry_name(builder, x), x->node.name_len,
			    entry_name(builder, y), y->node.name_len) == 0;
}

/*
 * Of two entries of one name the first stays; a directory of the host takes
 * the grafts of the other in.
 */
static int merge(struct entry *kept, const struct entry *graft)
{
	if ((kept->node.flags & NODE_GRAFT) || kept->graft != BUILDER_NONE)
		return -EEXIST;
	if (S_ISDIR(kept->node.mode) && S_ISDIR(graft->node.mode)) {
		kept->graft = graft->graft;
		kept->node.flags |= graft->node.flags & NODE_RESERVED;
	}
	return 0;
}

static int merge_same(struct dir_builder *builder, struct diag *diag)
{
	struct dir_key *order = builder->order.items;
	size_t kept = 0;

	for (size_t i = 0; i < builder->order.count; i++) {
		const struct entry *e = &builder->entries.items[order[i].entry];
		int r;

		if (kept == 0 ||
		    !same_name(builder, &order[kept - 1], &order[i])) {
			order[kept++] = order[i];
			continue;
		}
		r = merge(&builder->entries.items[order[kept - 1].entry], e);
		if (r < 0)
			return diag_set(
				diag, r, NULL, "two entries of the name %.*s",
				(int)e->node.name_len, entry_name(builder, e));
	}
	builder->order.count = kept;
	return 0;
}

int dir_builder_sort(struct dir_builder *builder, struct diag *diag)
{
	int r = sort_entries(builder);

	return r < 0 ? diag_set(diag, r, NULL, NULL)
		     : merge_same(builder, diag);
}

/* ---- grafts ---- */

/* The file a builder's entry stands for: itself, or what it is a link to. */
static const struct builder_node *graft_file(const struct tree_builder *grafts,
					     builder_id id)
{
	const struct builder_node *n = &grafts->items[id];

	return n->link_to == BUILDER_NONE ? n : &grafts->items[n->link_to];
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

static int add_graft(struct dir_builder *builder,
		     const struct tree_builder *grafts, builder_id id)
{
	const struct builder_node *named = &grafts->items[id];
	const struct builder_node *file = graft_file(grafts, id);
	struct entry *e = dir_builder_add(builder, named->name,
					  named->name_len);
	struct node *n;

	if (!e)
		return -ENOMEM;
	e->graft = id;
	e->dev = BUILDER_DEV;
	e->source = file->source;
	n = &e->node;
	n->ino = (uint64_t)(file - grafts->items);
	n->size = file->size;
	n->mode = (uint16_t)file->attr.mode;
	n->uid = file->attr.uid;
	n->gid = file->attr.gid;
	n->mtime = file->attr.mtime;
	n->mtime_ns = file->attr.mtime_ns;
	n->flags = NODE_GRAFT | (file->reserved ? NODE_RESERVED : 0) |
		   (file->linked ? NODE_LINKED : 0);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
		n->device.major = file->attr.major;
		n->device.minor = file->attr.minor;
	}
	if (file->target) {
		uint64_t offset;

		if (dir_builder_put(builder, file->target, file->size,
				    &offset) < 0)
			return -ENOMEM;
		n->target = offset;
	}
	if (dir_builder_put_xattrs(builder, e, file->xattrs, file->xattrs_len) <
	    0)
		return -ENOMEM;
	return file->extents
		       ? put_extents(builder, e, file->extents, file->n_extents)
		       : 0;
}

int dir_builder_add_grafts(struct dir_builder *builder,
			   const struct tree_builder *grafts, builder_id dir)
{
	builder_id id = grafts->items[dir].first_child;

	for (; id != BUILDER_NONE; id = grafts->items[id].next) {
		int r = add_graft(builder, grafts, id);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- from an earlier tree ---- */

static int copy_extents(struct dir_builder *builder, struct entry *e,
			const struct dir *dir, const struct node *node)
{
	const struct runs *runs = &dir->more->runs.items[node->file.runs - 1];

	return put_extents(builder, e, runs_extents(dir, runs), runs->n);
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
	e->node.flags &= (uint16_t)~NODE_RESERVED; /* the grafts say it again */
	e->dev = node_device(dir, node);
	if (S_ISLNK(node->mode)) {
		uint64_t target;

		if (dir_builder_put(builder, dir->names + node->target,
				    node->size, &target) < 0)
			return -ENOMEM;
		e->node.target = target;
	}
	if (node->xattrs) {
		size_t len;
		const uint8_t *set = xattr_sets_get(&dir->more->xattrs,
						    node->xattrs, &len);

		if (dir_builder_put_xattrs(builder, e, set, len) < 0)
			return -ENOMEM;
	}
	return S_ISREG(node->mode) && node->file.runs
		       ? copy_extents(builder, e, dir, node)
		       : 0;
}
