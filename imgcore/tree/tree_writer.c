/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/tree_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"

static int put_in_list(struct tree *tree, enum tree_list list, tree_id id)
{
	tree_id *listed = vec_push(&tree->lists[list]);

	if (!listed)
		return -ENOMEM;
	*listed = id;
	return 0;
}

/* The first name stands for the inode; all others point at it. */
static int put_linked(struct tree_writer *w, uint64_t device, uint64_t ino,
		      tree_id id)
{
	struct tree *t = w->tree;
	uint32_t next = (uint32_t)t->named.count;
	struct further *further;
	uint32_t named;
	uint32_t dev;

	if (links_intern(&w->devices, 0, device, (uint32_t)w->devices.count,
			 &dev) < 0 ||
	    links_intern(&w->links, dev, ino, next, &named) < 0)
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

/* Adds a place for the directory of a node; its entries will follow. */
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

/* Puts what only the tree knows of an entry. */
static int put_entry(struct tree_writer *w, const struct dir *dir, uint32_t i,
		     tree_id id, const struct dir_builder *builder)
{
	const struct node *n = &dir->nodes[i];
	struct tree *t = w->tree;
	int r = 0;

	if (n->flags & NODE_LINKED)
		r = put_linked(w, node_device(dir, n), n->ino, id);
	if (r < 0)
		return r;
	if (S_ISDIR(n->mode)) {
		r = put_in_list(t, TREE_LIST_DIRS, id);
		return r < 0 ? r
			     : add_place(w, id,
					 builder ? dir_builder_at(builder, i)
							   ->graft
						 : BUILDER_NONE);
	}
	/* A further name is not listed: it has no data of its own. */
	if (S_ISREG(n->mode) && n->file.runs && tree_inode(t, id) == id)
		return put_in_list(t, TREE_LIST_SPARSE, id);
	return 0;
}

int tree_writer_put(struct tree_writer *writer, struct dir *dir,
		    const struct dir_builder *builder, struct diag *diag)
{
	struct tree *t = writer->tree;
	struct place *place = &t->places.items[writer->next++];
	tree_id first = t->count;
	int r = 0;

	place->dir = dir;
	if (dir->count >= TREE_NONE - first)
		return diag_set(
			diag, -EFBIG, t->root_path,
			"more than %u entries; no file system of 32-bit inode numbers holds them",
			TREE_NONE - 1);
	place->first = first;
	place->first_subdir = (uint32_t)t->places.count;
	place->xattrs = (uint32_t)t->xattr_numbers.count;
	t->count += dir->count;
	if (dir->more) {
		const struct xattr_sets *sets = &dir->more->xattrs;

		for (uint32_t n = 1; r == 0 && n <= sets->starts.count; n++) {
			uint32_t *number = vec_push(&t->xattr_numbers);
			size_t len;
			const uint8_t *set = xattr_sets_get(sets, n, &len);

			r = number ? xattr_sets_intern(&t->xattrs,
						       &writer->xattrs, set,
						       len, number)
				   : -ENOMEM;
		}
	}
	if (dir->linked > 0 || dir->sparse > 0 || dir->subdirs > 0)
		for (uint32_t i = 0; r == 0 && i < dir->count; i++)
			r = put_entry(writer, dir, i, first + i, builder);
	return r < 0 ? diag_set(diag, r, NULL, NULL) : 0;
}

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
	if (r == 0)
		r = add_place(writer, TREE_ROOT, BUILDER_NONE);
	if (r == 0)
		r = dir_builder_finish(root, clock, &dir);
	return r < 0 ? r : tree_writer_put(writer, dir, root, NULL);
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

/* ---- a tree builder alone ---- */

int tree_build(struct tree_builder *builder, struct tree **ret_tree,
	       struct diag *diag)
{
	static const struct tree_clock clock;
	_cleanup_(tree_writer_release) struct tree_writer w = { 0 };
	_cleanup_(dir_builder_release) struct dir_builder entries = { 0 };
	const struct builder_node *root = &builder->items[0];
	struct entry *e = dir_builder_add(&entries, "", 0);
	int r = -ENOMEM;

	if (e) {
		e->graft = 0;
		e->dev = BUILDER_DEV;
		e->node.mode = (uint16_t)root->attr.mode;
		e->node.uid = root->attr.uid;
		e->node.gid = root->attr.gid;
		e->node.mtime = root->attr.mtime;
		e->node.mtime_ns = root->attr.mtime_ns;
		e->node.flags = NODE_GRAFT;
		r = dir_builder_put_xattrs(&entries, e, root->xattrs,
					   root->xattrs_len);
	}
	if (r == 0)
		r = tree_writer_begin(&w, &entries, &clock);
	if (r < 0)
		return diag_set(diag, r, NULL, NULL);
	while (w.next < w.tree->places.count) {
		struct dir *dir;

		dir_builder_clear(&entries);
		r = dir_builder_add_grafts(&entries, builder,
					   w.grafts.items[w.next]);
		if (r < 0)
			return diag_set(diag, r, NULL, NULL);
		r = dir_builder_sort(&entries, diag);
		if (r < 0)
			return r;
		r = dir_builder_finish(&entries, &clock, &dir);
		if (r < 0)
			return diag_set(diag, r, NULL, NULL);
		r = tree_writer_put(&w, dir, &entries, diag);
		if (r < 0)
			return r;
	}
	tree_builder_clear(builder);
	*ret_tree = tree_writer_end(&w);
	return 0;
}
