/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/assembly.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"

/* ---- what the directories do not know of each other ---- */

static int put_in_list(struct tree *tree, enum tree_list list, tree_id id)
{
	tree_id *listed = vec_push(&tree->lists[list]);

	if (!listed)
		return -ENOMEM;
	*listed = id;
	return 0;
}

static int device_number(struct assembly *a, uint64_t dev, uint32_t *ret_number)
{
	return links_intern(&a->devices, 0, dev, (uint32_t)a->devices.count,
			    ret_number);
}

/* The first name stands for the inode, all others point at it. */
static int put_linked(struct assembly *a, const struct dir *dir,
		      const struct node *node, tree_id id)
{
	struct tree *t = a->tree;
	uint32_t next = (uint32_t)t->named.count;
	struct further *further;
	uint32_t named;
	uint32_t dev;

	if (device_number(a, node_device(dir, node), &dev) < 0 ||
	    links_intern(&a->links, dev, node->ino, next, &named) < 0)
		return -ENOMEM;
	if (named == next) {
		struct named *n = vec_push(&t->named);

		if (!n)
			return -ENOMEM;
		*n = (struct named){ id, 1 };
		return 0;
	}
	t->named.items[named].nlink++;
	further = vec_push(&t->further);
	if (!further)
		return -ENOMEM;
	*further = (struct further){ id, t->named.items[named].node };
	return put_in_list(t, TREE_LIST_LINKS, id);
}

static int put_links(struct assembly *a, const struct dir *dir, tree_id first)
{
	for (uint32_t i = 0; dir->linked > 0 && i < dir->count; i++)
		if ((dir->nodes[i].flags & NODE_LINKED) &&
		    put_linked(a, dir, &dir->nodes[i], first + i) < 0)
			return -ENOMEM;
	return 0;
}

/* A further name is not listed: it has no data of its own. */
static int put_sparse(struct tree *t, const struct dir *dir, tree_id first)
{
	for (uint32_t i = 0; dir->sparse > 0 && i < dir->count; i++) {
		const struct node *n = &dir->nodes[i];

		if (S_ISREG(n->mode) && n->file.runs &&
		    tree_inode(t, first + i) == first + i &&
		    put_in_list(t, TREE_LIST_SPARSE, first + i) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The tree's numbers of the directory's sets of extended attributes. */
static int put_xattrs(struct assembly *a, const struct dir *dir,
		      uint32_t *ret_first)
{
	const struct xattr_sets *sets = dir->more ? &dir->more->xattrs : NULL;
	struct tree *t = a->tree;

	*ret_first = (uint32_t)t->xattr_numbers.count;
	for (uint32_t n = 1; sets && n <= sets->starts.count; n++) {
		uint32_t *number = vec_push(&t->xattr_numbers);
		size_t len;
		const uint8_t *set = xattr_sets_get(sets, n, &len);

		if (!number || xattr_sets_intern(&t->xattrs, &a->xattrs, set,
						 len, number) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- places ---- */

/* A place for the directory of a node; its entries will follow. */
static int add_place(struct assembly *a, tree_id node, builder_id graft)
{
	struct place *place = vec_push(&a->tree->places);
	builder_id *g = vec_push(&a->grafts);

	if (!place || !g)
		return -ENOMEM;
	*place = (struct place){ .first = TREE_NONE, .node = node };
	*g = graft;
	return 0;
}

static int add_subdirs(struct assembly *a, const struct dir *dir, tree_id first,
		       const struct batch *batch)
{
	if (dir->subdirs == 0)
		return 0;
	for (uint32_t i = 0; i < dir->count; i++) {
		if (!S_ISDIR(dir->nodes[i].mode))
			continue;
		if (put_in_list(a->tree, TREE_LIST_DIRS, first + i) < 0 ||
		    add_place(a, first + i,
			      batch ? batch_at(batch, i)->graft
				    : BUILDER_NONE) < 0)
			return -ENOMEM;
	}
	return 0;
}

int assembly_put(struct assembly *assembly, struct dir *dir,
		 const struct batch *batch, struct diag *diag)
{
	struct tree *t = assembly->tree;
	size_t at = assembly->next++;
	struct place *place = &t->places.items[at];
	tree_id first = t->count;

	place->dir = dir;
	if (dir->count >= TREE_NONE - first)
		return diag_set(
			diag, -EFBIG, t->root_path,
			"more than %u entries; no file system of 32-bit inode numbers holds them",
			TREE_NONE - 1);
	place->first = first;
	place->first_subdir = (uint32_t)t->places.count;
	t->count += dir->count;
	if (put_xattrs(assembly, dir, &place->xattrs) < 0 ||
	    put_links(assembly, dir, first) < 0 ||
	    put_sparse(t, dir, first) < 0 ||
	    add_subdirs(assembly, dir, first, batch) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	return 0;
}

/* ---- the whole ---- */

int assembly_begin(struct assembly *assembly, struct batch *root,
		   const struct tree_clock *clock)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct dir *dir;
	int r;

	if (!t)
		return -ENOMEM;
	t->root_fd = -1;
	t->clock = *clock;
	t->youngest = INT64_MIN;
	*assembly = (struct assembly){ .tree = t };
	r = batch_sort(root, NULL);
	if (r < 0)
		return r;
	r = dir_new(&dir, root, clock);
	if (r < 0)
		return r;
	r = add_place(assembly, TREE_ROOT, BUILDER_NONE);
	if (r < 0) {
		dir_unref(dir);
		return r;
	}
	return assembly_put(assembly, dir, root, NULL);
}

struct tree *assembly_end(struct assembly *assembly)
{
	struct tree *t = take_ptr(assembly->tree);

	vec_shrink(&t->places);
	vec_shrink(&t->further);
	vec_shrink(&t->named);
	for (size_t i = 0; i < TREE_LISTS; i++)
		vec_shrink(&t->lists[i]);
	vec_shrink(&t->xattrs.bytes);
	vec_shrink(&t->xattrs.starts);
	return t;
}

void assembly_release(struct assembly *assembly)
{
	tree_free(assembly->tree);
	links_release(&assembly->links);
	links_release(&assembly->devices);
	xattr_index_release(&assembly->xattrs);
	vec_free(&assembly->grafts);
	*assembly = (struct assembly){ 0 };
}

/* ---- a builder alone ---- */

static int put_builder_dir(struct assembly *a,
			   const struct tree_builder *builder,
			   struct batch *batch, struct diag *diag)
{
	builder_id graft = a->grafts.items[a->next];
	struct dir *dir;
	int r = batch_add_grafts(batch, builder, graft);

	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	r = batch_sort(batch, diag);
	if (r < 0)
		return r;
	r = dir_new(&dir, batch, &a->tree->clock);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	return assembly_put(a, dir, batch, diag);
}

/* The root that a builder was made with. */
static int add_builder_root(struct batch *batch,
			    const struct builder_node *root)
{
	struct entry *e = batch_add(batch, "", 0);

	if (!e)
		return -ENOMEM;
	e->graft = 0;
	e->dev = BUILDER_DEV;
	e->node.mode = (uint16_t)root->attr.mode;
	e->node.uid = root->attr.uid;
	e->node.gid = root->attr.gid;
	e->node.mtime = root->attr.mtime;
	e->node.mtime_ns = root->attr.mtime_ns;
	e->node.flags = NODE_GRAFT;
	return batch_put_xattrs(batch, e, root->xattrs, root->xattrs_len);
}

int tree_build(struct tree_builder *builder, struct tree **ret_tree,
	       struct diag *diag)
{
	static const struct tree_clock clock;
	_cleanup_(assembly_release) struct assembly a = { 0 };
	_cleanup_(batch_release) struct batch batch = { 0 };
	int r = add_builder_root(&batch, &builder->items[0]);

	if (r == 0)
		r = assembly_begin(&a, &batch, &clock);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	while (a.next < a.tree->places.count) {
		batch_clear(&batch);
		r = put_builder_dir(&a, builder, &batch, diag);
		if (r < 0)
			return r;
	}
	tree_builder_clear(builder);
	*ret_tree = assembly_end(&a);
	return 0;
}
