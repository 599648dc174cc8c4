/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/assembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"

void batch_clear(struct batch *batch)
{
	batch->entries.count = 0;
	batch->order.count = 0;
	batch->names.count = 0;
	batch->extents.count = 0;
	batch->xattrs.count = 0;
}

void batch_release(struct batch *batch)
{
	vec_free(&batch->entries);
	vec_free(&batch->order);
	vec_free(&batch->names);
	vec_free(&batch->extents);
	vec_free(&batch->xattrs);
}

int batch_put(struct batch *batch, const char *bytes, size_t len,
	      uint64_t *ret_offset)
{
	if (vec_reserve(&batch->names, len) < 0)
		return -ENOMEM;
	memcpy(batch->names.items + batch->names.count, bytes, len);
	*ret_offset = batch->names.count;
	batch->names.count += len;
	return 0;
}

struct entry *batch_add(struct batch *batch, const char *name, size_t len)
{
	struct entry *e;
	uint64_t offset;

	if (batch_put(batch, name, len, &offset) < 0)
		return NULL;
	e = vec_push(&batch->entries);
	if (!e)
		return NULL;
	e->node.name = offset;
	e->node.name_len = (uint8_t)len;
	e->graft = BUILDER_NONE;
	batch->order.count = 0;
	return e;
}

/* ---- the order of a batch ---- */

static const char *entry_name(const struct batch *batch, const struct entry *e)
{
	return batch->names.items + e->node.name;
}

/* How many bytes all names begin with. */
static size_t common_length(const struct batch *batch)
{
	const struct entry *first = batch->entries.items;
	const char *name = entry_name(batch, first);
	size_t len = first->node.name_len;

	for (size_t i = 1; i < batch->entries.count && len > 0; i++) {
		const struct entry *e = first + i;
		const char *other = entry_name(batch, e);
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
	const struct batch *batch = context;
	const struct batch_key *ka = pa;
	const struct batch_key *kb = pb;
	const struct entry *a = &batch->entries.items[ka->entry];
	const struct entry *b = &batch->entries.items[kb->entry];
	int c;

	if (ka->key != kb->key)
		return ka->key < kb->key ? -1 : 1;
	c = name_compare(entry_name(batch, a), a->node.name_len,
			 entry_name(batch, b), b->node.name_len);
	if (c == 0)
		c = (a->node.flags & NODE_GRAFT) - (b->node.flags & NODE_GRAFT);
	return c ? c : (ka->entry > kb->entry) - (ka->entry < kb->entry);
}

/*
 * Sorts keys that came in order, or in the reverse of it, as a tmpfs lists its
 * entries; false: in neither.
 */
static bool sort_listed(struct batch *batch)
{
	struct batch_key *keys = batch->order.items;
	size_t n = batch->order.count;
	size_t rising = 0;

	for (size_t i = 1; i < n; i++) {
		if (order_compare(&keys[i - 1], &keys[i], batch) < 0)
			rising++;
		if (rising != 0 && rising != i)
			return false;
	}
	for (size_t i = 0; rising == 0 && i < n / 2; i++) {
		struct batch_key key = keys[i];

		keys[i] = keys[n - 1 - i];
		keys[n - 1 - i] = key;
	}
	return true;
}

int batch_sort(struct batch *batch)
{
	size_t n = batch->entries.count;
	size_t common;

	if (batch->order.count == n)
		return 0;
	if (n > UINT32_MAX)
		return -EFBIG;
	if (vec_reserve(&batch->order, n) < 0)
		return -ENOMEM;
	common = common_length(batch);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &batch->entries.items[i];

		batch->order.items[i] = (struct batch_key){
			.key = key_of(entry_name(batch, e) + common,
				      e->node.name_len - common),
			.entry = (uint32_t)i,
		};
	}
	batch->order.count = n;
	if (sort_listed(batch))
		return 0;
	qsort_r(batch->order.items, n, sizeof(*batch->order.items),
		order_compare, batch);
	return 0;
}

/* ---- grafts ---- */

/* The file a builder's entry stands for: itself, or what it is a link to. */
static const struct builder_node *graft_file(const struct tree_builder *grafts,
					     builder_id id)
{
	const struct builder_node *n = &grafts->items[id];

	return n->link_to == BUILDER_NONE ? n : &grafts->items[n->link_to];
}

static int add_extents(struct batch *batch, struct entry *e,
		       const struct builder_node *file)
{
	size_t n = file->n_extents;

	e->sparse = true;
	e->first_extent = batch->extents.count;
	e->n_extents = n;
	if (vec_reserve(&batch->extents, n) < 0)
		return -ENOMEM;
	if (n > 0)
		memcpy(batch->extents.items + batch->extents.count,
		       file->extents, n * sizeof(*file->extents));
	batch->extents.count += n;
	return 0;
}

static int add_xattrs(struct batch *batch, struct entry *e,
		      const struct builder_node *file)
{
	size_t len = file->xattrs_len;

	if (len == 0)
		return 0;
	if (vec_reserve(&batch->xattrs, len) < 0)
		return -ENOMEM;
	e->first_xattr = batch->xattrs.count;
	e->xattrs_len = len;
	memcpy(batch->xattrs.items + batch->xattrs.count, file->xattrs, len);
	batch->xattrs.count += len;
	return 0;
}

static int add_graft(struct batch *batch, const struct tree_builder *grafts,
		     builder_id id)
{
	const struct builder_node *named = &grafts->items[id];
	const struct builder_node *file = graft_file(grafts, id);
	struct entry *e = batch_add(batch, named->name, named->name_len);
	struct node *n;

	if (!e)
		return -ENOMEM;
	e->graft = id;
	e->dev = file->dev;
	e->linked = file->linked;
	n = &e->node;
	n->ino = file->ino;
	n->size = file->size;
	n->mode = (uint16_t)file->attr.mode;
	n->uid = file->attr.uid;
	n->gid = file->attr.gid;
	n->mtime = file->attr.mtime;
	n->mtime_ns = file->attr.mtime_ns;
	n->ctime = file->ctime;
	n->ctime_ns = file->ctime_ns;
	n->flags = NODE_GRAFT | (file->reserved ? NODE_RESERVED : 0);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
		n->device.major = file->attr.major;
		n->device.minor = file->attr.minor;
	}
	if (file->target) {
		uint64_t offset;

		if (batch_put(batch, file->target, file->size, &offset) < 0)
			return -ENOMEM;
		n->target = offset;
	}
	if (add_xattrs(batch, e, file) < 0)
		return -ENOMEM;
	return file->extents ? add_extents(batch, e, file) : 0;
}

/* Adds what the grafts have for this directory. */
static int add_grafts(struct assembly *a, tree_id dir, struct batch *batch)
{
	const struct graft_dir *g;
	builder_id id;

	if (a->next_graft_dir >= a->graft_dirs.count)
		return 0;
	g = &a->graft_dirs.items[a->next_graft_dir];
	if (g->dir != dir)
		return 0;
	a->next_graft_dir++;
	id = a->grafts->items[g->graft].first_child;
	for (; id != BUILDER_NONE; id = a->grafts->items[id].next) {
		int r = add_graft(batch, a->grafts, id);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- a batch into the tree ---- */

static bool same_name(const struct batch *batch, const struct batch_key *a,
		      const struct batch_key *b)
{
	const struct entry *x = &batch->entries.items[a->entry];
	const struct entry *y = &batch->entries.items[b->entry];

	return a->key == b->key &&
	       name_compare(entry_name(batch, x), x->node.name_len,
			    entry_name(batch, y), y->node.name_len) == 0;
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

static int merge_same(struct batch *batch, struct diag *diag)
{
	struct batch_key *order = batch->order.items;
	size_t kept = 0;

	for (size_t i = 0; i < batch->order.count; i++) {
		const struct entry *e = &batch->entries.items[order[i].entry];
		int r;

		if (kept == 0 ||
		    !same_name(batch, &order[kept - 1], &order[i])) {
			order[kept++] = order[i];
			continue;
		}
		r = merge(&batch->entries.items[order[kept - 1].entry], e);
		if (r < 0)
			return diag_set(
				diag, r, NULL, "two entries of the name %.*s",
				(int)e->node.name_len, entry_name(batch, e));
	}
	batch->order.count = kept;
	return 0;
}

static int put_name(struct tree *tree, const char *bytes, size_t len,
		    uint64_t *ret_offset)
{
	memcpy(tree->names.items + tree->names.count, bytes, len);
	*ret_offset = tree->names.count;
	tree->names.count += len;
	return 0;
}

static int intern_device(struct assembly *a, uint64_t dev, uint32_t *ret_index)
{
	struct tree *t = a->tree;
	uint32_t next = (uint32_t)t->devices.count;
	uint64_t *d;
	int r;

	/* Nearly always the last one seen. */
	if (next > 0 && t->devices.items[a->last_device] == dev) {
		*ret_index = a->last_device;
		return 0;
	}
	r = links_intern(&a->devices, 0, dev, next, &a->last_device);
	if (r < 0)
		return r;
	*ret_index = a->last_device;
	if (a->last_device != next)
		return 0;
	d = vec_push(&t->devices);
	if (!d)
		return -ENOMEM;
	*d = dev;
	return 0;
}

static int put_in_list(struct tree *tree, enum tree_list list, tree_id id)
{
	tree_id *listed = vec_push(&tree->lists[list]);

	if (!listed)
		return -ENOMEM;
	*listed = id;
	return 0;
}

static int put_extents(struct tree *tree, const struct batch *batch,
		       const struct entry *e, tree_id id)
{
	struct runs *runs;

	if (vec_reserve(&tree->extents, e->n_extents) < 0)
		return -ENOMEM;
	runs = vec_push(&tree->runs);
	if (!runs)
		return -ENOMEM;
	*runs = (struct runs){ tree->extents.count, e->n_extents };
	if (e->n_extents > 0)
		memcpy(tree->extents.items + tree->extents.count,
		       batch->extents.items + e->first_extent,
		       e->n_extents * sizeof(*tree->extents.items));
	tree->extents.count += e->n_extents;
	tree->nodes.items[id].file.runs = (uint32_t)tree->runs.count;
	return put_in_list(tree, TREE_LIST_SPARSE, id);
}

/* Moves the origin of a graft's bytes from the builder into the tree. */
static int put_origin(struct assembly *a, const struct entry *e,
		      struct node *node)
{
	struct builder_node *file;
	struct origin *o;

	file = (struct builder_node *)graft_file(a->grafts, e->graft);
	if (!file->origin.content && !file->origin.path)
		return 0;
	o = vec_push(&a->tree->origins);
	if (!o)
		return -ENOMEM;
	*o = file->origin;
	file->origin = (struct origin){ 0 };
	node->file.origin = (uint32_t)a->tree->origins.count;
	return 0;
}

static int put_directory(struct assembly *a, const struct entry *e, tree_id id)
{
	struct graft_dir *g;
	int r = put_in_list(a->tree, TREE_LIST_DIRS, id);

	if (r < 0 || e->graft == BUILDER_NONE)
		return r;
	g = vec_push(&a->graft_dirs);
	if (!g)
		return -ENOMEM;
	*g = (struct graft_dir){ id, e->graft };
	return 0;
}

/* A node for an entry whose inode is new to the tree. */
static int put_inode(struct assembly *a, const struct batch *batch,
		     const struct entry *e, tree_id id)
{
	struct node *node = &a->tree->nodes.items[id];
	int r;

	if (e->xattrs_len > 0) {
		r = xattr_sets_intern(&a->tree->xattrs, &a->xattrs,
				      batch->xattrs.items + e->first_xattr,
				      e->xattrs_len, &node->xattrs);
		if (r < 0)
			return r;
	}
	if (S_ISDIR(node->mode))
		return put_directory(a, e, id);
	if (S_ISLNK(node->mode)) {
		uint64_t offset;

		r = put_name(a->tree, batch->names.items + e->node.target,
			     node->size, &offset);
		node->target = offset;
		return r;
	}
	if (!S_ISREG(node->mode))
		return 0;
	if (e->sparse) {
		r = put_extents(a->tree, batch, e, id);
		if (r < 0)
			return r;
	}
	return e->graft == BUILDER_NONE ? 0 : put_origin(a, e, node);
}

static int put_entry(struct assembly *a, tree_id dir, const struct batch *batch,
		     const struct entry *e)
{
	struct tree *t = a->tree;
	tree_id id = (tree_id)t->nodes.count;
	struct node *n = &t->nodes.items[t->nodes.count++];
	uint64_t offset;
	int r;

	*n = e->node;
	n->parent = dir;
	n->inode = id;
	put_name(t, batch->names.items + e->node.name, n->name_len, &offset);
	n->name = offset;
	r = intern_device(a, e->dev, &n->dev);
	if (r < 0)
		return r;
	if (e->linked) {
		r = links_intern(&a->links, n->dev, n->ino, id, &n->inode);
		if (r < 0)
			return r;
	}
	t->nodes.items[n->inode].nlink++;
	return n->inode == id ? put_inode(a, batch, e, id)
			      : put_in_list(t, TREE_LIST_LINKS, id);
}

/* Room for the whole batch, so that no pointer moves while it is put in. */
static int reserve(struct tree *tree, const struct batch *batch,
		   struct diag *diag)
{
	if (batch->order.count >= TREE_NONE - tree->nodes.count)
		return diag_set(
			diag, -EFBIG, tree->root_path,
			"more than %u entries; no file system of 32-bit inode numbers holds them",
			TREE_NONE - 1);
	if (vec_reserve(&tree->nodes, batch->order.count) < 0 ||
	    vec_reserve(&tree->names, batch->names.count) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	return 0;
}

int assembly_append(struct assembly *assembly, tree_id dir, struct batch *batch,
		    struct diag *diag)
{
	struct tree *t = assembly->tree;
	uint32_t first = (uint32_t)t->nodes.count;
	uint32_t subdirs = 0;
	int r;

	r = add_grafts(assembly, dir, batch);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	r = batch_sort(batch);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	r = merge_same(batch, diag);
	if (r < 0)
		return r;
	r = reserve(t, batch, diag);
	if (r < 0)
		return r;
	for (size_t i = 0; i < batch->order.count; i++) {
		const struct entry *e =
			&batch->entries.items[batch->order.items[i].entry];

		subdirs += S_ISDIR(e->node.mode);
		r = put_entry(assembly, dir, batch, e);
		if (r < 0)
			return diag_set(diag, r, NULL, NULL);
	}
	t->nodes.items[dir].dir.first = first;
	t->nodes.items[dir].dir.count = (uint32_t)batch->order.count;
	t->nodes.items[dir].size = subdirs;
	return 0;
}

int assembly_begin(struct assembly *assembly, const struct node *root,
		   uint64_t root_dev, struct tree_builder *grafts)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct node *n;

	if (!t)
		return -ENOMEM;
	t->root_fd = -1;
	*assembly = (struct assembly){ .tree = t, .grafts = grafts };
	n = vec_push(&t->nodes);
	if (!n)
		return -ENOMEM;
	*n = *root;
	n->nlink = 1;
	if (put_in_list(t, TREE_LIST_DIRS, TREE_ROOT) < 0)
		return -ENOMEM;
	if (grafts) {
		struct graft_dir *g = vec_push(&assembly->graft_dirs);

		if (!g)
			return -ENOMEM;
		*g = (struct graft_dir){ TREE_ROOT, 0 };
	}
	return intern_device(assembly, root_dev, &n->dev);
}

int assembly_root_xattrs(struct assembly *assembly, const uint8_t *set,
			 size_t len)
{
	struct tree *t = assembly->tree;

	return xattr_sets_intern(&t->xattrs, &assembly->xattrs, set, len,
				 &t->nodes.items[TREE_ROOT].xattrs);
}

struct tree *assembly_end(struct assembly *assembly)
{
	struct tree *t = take_ptr(assembly->tree);

	vec_shrink(&t->nodes);
	vec_shrink(&t->names);
	vec_shrink(&t->extents);
	vec_shrink(&t->xattrs.bytes);
	vec_shrink(&t->xattrs.starts);
	if (assembly->grafts)
		tree_builder_clear(assembly->grafts);
	return t;
}

void assembly_release(struct assembly *assembly)
{
	tree_free(assembly->tree);
	links_release(&assembly->links);
	links_release(&assembly->devices);
	xattr_index_release(&assembly->xattrs);
	vec_free(&assembly->graft_dirs);
	*assembly = (struct assembly){ 0 };
}

int tree_build(struct tree_builder *builder, struct tree **ret_tree,
	       struct diag *diag)
{
	const struct tree_attr *attr = &builder->items[0].attr;
	const struct node root = {
		.mode = (uint16_t)attr->mode,
		.uid = attr->uid,
		.gid = attr->gid,
		.mtime = attr->mtime,
		.mtime_ns = attr->mtime_ns,
		.flags = NODE_GRAFT,
	};
	_cleanup_(assembly_release) struct assembly a = { 0 };
	_cleanup_(batch_release) struct batch batch = { 0 };
	int r = assembly_begin(&a, &root, BUILDER_DEV, builder);

	if (r == 0)
		r = assembly_root_xattrs(&a, builder->items[0].xattrs,
					 builder->items[0].xattrs_len);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	for (tree_id id = 0; id < a.tree->nodes.count; id++) {
		if (!S_ISDIR(a.tree->nodes.items[id].mode))
			continue;
		batch_clear(&batch);
		r = assembly_append(&a, id, &batch, diag);
		if (r < 0)
			return r;
	}
	*ret_tree = assembly_end(&a);
	return 0;
}
