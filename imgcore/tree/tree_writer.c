/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/tree_writer.h"

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

static int device_number(struct tree_writer *w, uint64_t dev,
			 uint32_t *ret_number)
{
	return links_intern(&w->devices, 0, dev, (uint32_t)w->devices.count,
			    ret_number);
}

/* The first name stands for the inode, all others point at it. */
static int put_linked(struct tree_writer *w, const struct dir *dir,
		      const struct node *node, tree_id id)
{
	struct tree *t = w->tree;
	uint32_t next = (uint32_t)t->named.count;
	struct further *further;
	uint32_t named;
	uint32_t dev;

	if (device_number(w, node_device(dir, node), &dev) < 0 ||
	    links_intern(&w->links, dev, node->ino, next, &named) < 0)
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

static int put_links(struct tree_writer *w, const struct dir *dir,
		     tree_id first)
{
	for (uint32_t i = 0; dir->linked > 0 && i < dir->count; i++)
		if ((dir->nodes[i].flags & NODE_LINKED) &&
		    put_linked(w, dir, &dir->nodes[i], first + i) < 0)
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
static int put_xattrs(struct tree_writer *w, const struct dir *dir,
		      uint32_t *ret_first)
{
	const struct xattr_sets *sets = dir->more ? &dir->more->xattrs : NULL;
	struct tree *t = w->tree;

	*ret_first = (uint32_t)t->xattr_numbers.count;
	for (uint32_t n = 1; sets && n <= sets->starts.count; n++) {
		uint32_t *number = vec_push(&t->xattr_numbers);
		size_t len;
		const uint8_t *set = xattr_sets_get(sets, n, &len);

		if (!number || xattr_sets_intern(&t->xattrs, &w->xattrs, set,
						 len, number) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- places ---- */

/* A place for the directory of a node; its entries will follow. */
static int add_place(struct tree_writer *w, tree_id node, builder_id graft)
{
	struct place *place = vec_push(&w->tree->places);
	builder_id *g = vec_push(&w->grafts);

	if (!place || !g)
		return -ENOMEM;
	*place = (struct place){ .first = TREE_NONE, .node = node };
	*g = graft;
	return 0;
}

static int add_subdirs(struct tree_writer *w, const struct dir *dir,
		       tree_id first, const struct dir_builder *dir_builder)
{
	if (dir->subdirs == 0)
		return 0;
	for (uint32_t i = 0; i < dir->count; i++) {
		if (!S_ISDIR(dir->nodes[i].mode))
			continue;
		if (put_in_list(w->tree, TREE_LIST_DIRS, first + i) < 0 ||
		    add_place(w, first + i,
			      dir_builder
				      ? dir_builder_at(dir_builder, i)->graft
				      : BUILDER_NONE) < 0)
			return -ENOMEM;
	}
	return 0;
}

int tree_writer_put(struct tree_writer *writer, struct dir *dir,
		    const struct dir_builder *dir_builder, struct diag *diag)
{
	struct tree *t = writer->tree;
	size_t at = writer->next++;
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
	if (put_xattrs(writer, dir, &place->xattrs) < 0 ||
	    put_links(writer, dir, first) < 0 ||
	    put_sparse(t, dir, first) < 0 ||
	    add_subdirs(writer, dir, first, dir_builder) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	return 0;
}

/* ---- the whole ---- */

int tree_writer_begin(struct tree_writer *writer, struct dir_builder *root,
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
	*writer = (struct tree_writer){ .tree = t };
	r = dir_builder_sort(root, NULL);
	if (r < 0)
		return r;
	r = dir_new(&dir, root, clock);
	if (r < 0)
		return r;
	r = add_place(writer, TREE_ROOT, BUILDER_NONE);
	if (r < 0) {
		dir_unref(dir);
		return r;
	}
	return tree_writer_put(writer, dir, root, NULL);
}

struct tree *tree_writer_end(struct tree_writer *writer)
{
	struct tree *t = take_ptr(writer->tree);

	vec_shrink(&t->places);
	vec_shrink(&t->further);
	vec_shrink(&t->named);
	for (size_t i = 0; i < TREE_LISTS; i++)
		vec_shrink(&t->lists[i]);
	vec_shrink(&t->xattrs.bytes);
	vec_shrink(&t->xattrs.starts);
	return t;
}

void tree_writer_release(struct tree_writer *writer)
{
	tree_free(writer->tree);
	links_release(&writer->links);
	links_release(&writer->devices);
	xattr_index_release(&writer->xattrs);
	vec_free(&writer->grafts);
	*writer = (struct tree_writer){ 0 };
}

/* ---- a builder alone ---- */

static int put_builder_dir(struct tree_writer *w,
			   const struct tree_builder *builder,
			   struct dir_builder *dir_builder, struct diag *diag)
{
	builder_id graft = w->grafts.items[w->next];
	struct dir *dir;
	int r = dir_builder_add_grafts(dir_builder, builder, graft);

	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	r = dir_builder_sort(dir_builder, diag);
	if (r < 0)
		return r;
	r = dir_new(&dir, dir_builder, &w->tree->clock);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	return tree_writer_put(w, dir, dir_builder, diag);
}

/* The root that a builder was made with. */
static int add_builder_root(struct dir_builder *dir_builder,
			    const struct builder_node *root)
{
	struct entry *e = dir_builder_add(dir_builder, "", 0);

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
	return dir_builder_put_xattrs(dir_builder, e, root->xattrs,
				      root->xattrs_len);
}

int tree_build(struct tree_builder *builder, struct tree **ret_tree,
	       struct diag *diag)
{
	static const struct tree_clock clock;
	_cleanup_(tree_writer_release) struct tree_writer w = { 0 };
	_cleanup_(dir_builder_release) struct dir_builder dir_builder = { 0 };
	int r = add_builder_root(&dir_builder, &builder->items[0]);

	if (r == 0)
		r = tree_writer_begin(&w, &dir_builder, &clock);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	while (w.next < w.tree->places.count) {
		dir_builder_clear(&dir_builder);
		r = put_builder_dir(&w, builder, &dir_builder, diag);
		if (r < 0)
			return r;
	}
	tree_builder_clear(builder);
	*ret_tree = tree_writer_end(&w);
	return 0;
}
