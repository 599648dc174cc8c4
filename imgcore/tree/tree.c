/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/tree-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/path.h"
#include "base/search.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "imgcore/opener.h"
#include "tree/builder.h"

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->places.count; i++)
		dir_unref(tree->places.items[i].dir);
	vec_free(&tree->places);
	vec_free(&tree->further);
	vec_free(&tree->named);
	for (size_t i = 0; i < TREE_LISTS; i++)
		vec_free(&tree->lists[i]);
	xattr_sets_release(&tree->xattrs);
	vec_free(&tree->xattr_numbers);
	if (tree->root_fd >= 0)
		close(tree->root_fd);
	opener_unref(tree->opener);
	free(tree->root_path);
	free(tree);
}

uint32_t tree_count(const struct tree *tree)
{
	return tree->count;
}

uint64_t tree_skipped(const struct tree *tree)
{
	uint64_t skipped = 0;

	for (size_t i = 0; i < tree->places.count; i++)
		skipped += tree->places.items[i].dir->skipped;
	return skipped;
}

uint64_t tree_mounted(const struct tree *tree)
{
	uint64_t mounted = 0;

	for (size_t i = 0; i < tree->places.count; i++)
		mounted += tree->places.items[i].dir->mounted;
	return mounted;
}

int64_t tree_youngest(const struct tree *tree)
{
	return tree->youngest;
}

/* ---- from an id to a node ---- */

/*
 * Returns the last place that begins at the id or before. If several begin
 * there, all but the last are empty.
 */
static const struct place *find_place(const struct tree *tree, tree_id id)
{
	const struct place *places = tree->places.items;

	return &places[search_first(tree->places.count, i,
				    places[i].first <= id) -
		       1];
}

const struct node *tree_node(const struct tree *tree, tree_id id,
			     const struct place **ret_place)
{
	const struct place *place = find_place(tree, id);

	if (ret_place)
		*ret_place = place;
	return &place->dir->nodes[id - place->first];
}

/* The inode of a node that may be a further name. */
static tree_id linked_inode(const struct tree *tree, tree_id id)
{
	size_t i = vec_search(&tree->further, id);

	if (i < tree->further.count && tree->further.items[i].node == id)
		return tree->further.items[i].inode;
	return id;
}

tree_id tree_next_linked(const struct tree *tree, tree_id id)
{
	const struct place *end = tree->places.items + tree->places.count;

	if (id >= tree->count)
		return TREE_NONE;
	for (const struct place *p = find_place(tree, id); p < end; p++) {
		uint32_t i = p->first < id ? id - p->first : 0;

		for (; p->dir->linked > 0 && i < p->dir->count; i++) {
			const struct node *n = &p->dir->nodes[i];

			if ((n->flags & NODE_LINKED) && S_ISREG(n->mode) &&
			    !(n->flags & NODE_GRAFT))
				return p->first + i;
		}
	}
	return TREE_NONE;
}

const struct node *tree_inode_node(const struct tree *tree, tree_id id,
				   const struct place **ret_place)
{
	const struct node *own = tree_node(tree, id, ret_place);
	tree_id inode;

	if (!(own->flags & NODE_LINKED))
		return own;
	inode = linked_inode(tree, id);
	return inode == id ? own : tree_node(tree, inode, ret_place);
}

uint32_t tree_place_of(const struct place *place, const struct node *node)
{
	return place->first_subdir + node->subdir;
}

/* ---- all about a node ---- */

/* Fills info from the inode's own node, which is in the directory of `place`.
 */
static void get_inode(const struct tree *tree, const struct place *place,
		      const struct node *node, struct tree_info *info)
{
	struct tree_attr *attr = &info->attr;
	const struct dir_more *more = place->dir->more;

	attr->mode = node->mode;
	attr->uid = node->uid;
	attr->gid = node->gid;
	node_mtime(&tree->clock, node, &attr->mtime, &attr->mtime_ns);
	info->reserved = node->flags & NODE_RESERVED;
	if (node->xattrs)
		info->xattrs = tree->xattr_numbers
				       .items[place->xattrs + node->xattrs - 1];
	if (S_ISDIR(node->mode)) {
		const struct place *own =
			&tree->places.items[tree_place_of(place, node)];

		info->first_child = own->first;
		info->n_children = own->dir->count;
		info->n_subdirs = own->dir->subdirs;
	} else if (S_ISLNK(node->mode)) {
		info->size = node->size;
		info->target = place->dir->names + node->target;
	} else if (S_ISREG(node->mode)) {
		info->size = node->size;
		if (node->file.runs) {
			const struct runs *runs =
				&more->runs.items[node->file.runs - 1];

			info->sparse = true;
			info->extents = runs_extents(place->dir, runs);
			info->n_extents = runs->n;
		}
	} else if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) {
		attr->major = node->device.major;
		attr->minor = node->device.minor;
	}
}

static void get_node(const struct tree *tree, tree_id id,
		     const struct place *place, struct tree_info *info)
{
	const struct node *node = &place->dir->nodes[id - place->first];

	*info = (struct tree_info){
		.name = node_name(place->dir, node),
		.name_len = node->name_len,
		.parent = place->node,
		.inode = id,
		.nlink = 1,
	};
	if (node->flags & NODE_LINKED) {
		info->inode = linked_inode(tree, id);
		info->nlink =
			tree->named.items[vec_search(&tree->named, info->inode)]
				.nlink;
		if (info->inode != id)
			node = tree_node(tree, info->inode, &place);
	}
	get_inode(tree, place, node, info);
}

void tree_get(const struct tree *tree, tree_id id, struct tree_info *info)
{
	get_node(tree, id, find_place(tree, id), info);
}

void tree_walk(const struct tree *tree, tree_id first, tree_id end,
	       void (*visit)(void *context, tree_id id,
			     const struct tree_info *info),
	       void *context)
{
	const struct place *place;

	if (first >= end)
		return;
	place = find_place(tree, first);
	for (tree_id id = first; id < end; id++) {
		struct tree_info info;

		while (id - place->first >= place->dir->count)
			place++;
		get_node(tree, id, place, &info);
		visit(context, id, &info);
	}
}

tree_id tree_inode(const struct tree *tree, tree_id id)
{
	if (tree->further.count == 0)
		return id;
	return linked_inode(tree, id);
}

const tree_id *tree_list(const struct tree *tree, enum tree_list list,
			 size_t *ret_n)
{
	*ret_n = tree->lists[list].count;
	return tree->lists[list].items;
}

/* Returns the place of a directory; NULL: the node is not a directory. */
static const struct place *dir_place(const struct tree *tree, tree_id id)
{
	const struct place *place;
	const struct node *node = tree_node(tree, id, &place);

	if (!S_ISDIR(node->mode))
		return NULL;
	return &tree->places.items[tree_place_of(place, node)];
}

int32_t tree_watch(const struct tree *tree, tree_id dir)
{
	return dir_place(tree, dir)->dir->watch;
}

uintptr_t tree_shared(const struct tree *tree, tree_id dir)
{
	return (uintptr_t)dir_place(tree, dir)->dir;
}

tree_id tree_child(const struct tree *tree, tree_id dir, const char *name,
		   size_t name_len)
{
	const struct place *place = dir_place(tree, dir);
	const struct node *node = place ? dir_find(place->dir, name, name_len)
					: NULL;

	return node ? place->first + (tree_id)(node - place->dir->nodes)
		    : TREE_NONE;
}

tree_id tree_find(const struct tree *tree, const char *path)
{
	tree_id id = TREE_ROOT;

	while (id != TREE_NONE && *path) {
		size_t len = strcspn(path, "/");

		if (len > 0)
			id = tree_child(tree, id, path, len);
		path += len + (path[len] == '/');
	}
	return id;
}

bool tree_same_file(const struct tree *a, tree_id file, const struct tree *b,
		    tree_id other)
{
	const struct place *x_place;
	const struct place *y_place;
	const struct node *x = tree_inode_node(a, file, &x_place);
	const struct node *y = tree_inode_node(b, other, &y_place);

	return dir_node_same(x_place->dir, x, y_place->dir, y);
}

bool tree_host_id(const struct tree *tree, tree_id id,
		  struct tree_host_id *ret_id)
{
	const struct place *place;
	const struct node *n = tree_inode_node(tree, id, &place);

	if (n->flags & NODE_GRAFT)
		return false;
	*ret_id = (struct tree_host_id){
		.dev = node_device(place->dir, n),
		.ino = n->ino,
		.size = n->size,
		.mtime = n->mtime,
		.ctime = n->ctime,
		.mtime_ns = n->mtime_ns,
		.ctime_ns = n->ctime_ns,
	};
	return true;
}

bool tree_across(const struct tree *tree, tree_id file)
{
	const struct place *root_place;
	const struct place *place;
	const struct node *root = tree_node(tree, TREE_ROOT, &root_place);
	const struct node *n = tree_inode_node(tree, file, &place);

	return tree->cross_mounts &&
	       node_device(place->dir, n) != node_device(root_place->dir, root);
}

bool tree_equal(const struct tree *a, const struct tree *b)
{
	if (a->places.count != b->places.count)
		return false;
	for (size_t i = 0; i < a->places.count; i++)
		if (!dir_equal(a->places.items[i].dir, b->places.items[i].dir))
			return false;
	return true;
}

/* ---- paths ---- */

/* Returns prefix and the path, with a '/' between the two where needed. */
static int path_below(const struct tree *tree, tree_id id, const char *prefix,
		      char **ret_path)
{
	size_t prefix_len = strlen(prefix);
	const struct place *place;
	size_t len = 0;
	char *path;
	char *p;

	for (tree_id i = id; i != TREE_ROOT; i = place->node)
		len += tree_node(tree, i, &place)->name_len + 1u;
	path = malloc(prefix_len + len + 1);
	if (!path)
		return -ENOMEM;
	memcpy(path, prefix, prefix_len);
	p = path + prefix_len + len;
	*p = '\0';
	for (tree_id i = id; i != TREE_ROOT; i = place->node) {
		const struct node *n = tree_node(tree, i, &place);

		p -= n->name_len;
		memcpy(p, node_name(place->dir, n), n->name_len);
		*--p = '/';
	}
	*ret_path = path;
	return 0;
}

int tree_path(const struct tree *tree, tree_id id, char **ret_path)
{
	int r = path_below(tree, id, "", ret_path);

	if (r == 0 && (*ret_path)[0] == '/')
		memmove(*ret_path, *ret_path + 1, strlen(*ret_path));
	return r;
}

int tree_host_path(const struct tree *tree, tree_id id, char **ret_path)
{
	const char *root = tree->root_path ? tree->root_path : "";

	return path_below(tree, id, id == TREE_ROOT ? root : path_prefix(root),
			  ret_path);
}

int tree_fail(const struct tree *tree, tree_id id, int err, const char *reason,
	      struct diag *diag)
{
	_cleanup_free_ char *path = NULL;

	if (!diag)
		return err;
	(void)tree_host_path(tree, id, &path);
	return reason ? diag_set(diag, err, path, "%s", reason)
		      : diag_set(diag, err, path, NULL);
}

void tree_set_own_dev(struct tree *tree, uint64_t own_dev)
{
	atomic_store(&tree->own_dev, own_dev);
}

/* ---- content ---- */

/* Returns the content source of a grafted regular file, or NULL. */
static struct content_source *node_source(const struct tree *tree, tree_id id)
{
	const struct place *place;
	const struct node *n = tree_inode_node(tree, id, &place);

	if (!S_ISREG(n->mode) || !n->file.source)
		return NULL;
	return place->dir->more->sources.items[n->file.source - 1];
}

struct content *tree_content(const struct tree *tree, tree_id id)
{
	const struct content_source *source = node_source(tree, id);

	return source ? source->content : NULL;
}

int tree_set_content(struct tree *tree, tree_id id, struct content *content,
		     uint64_t size)
{
	struct content_source *source = node_source(tree, id);
	const struct place *place;
	struct node *n;

	if (!source)
		return -EINVAL;
	n = (struct node *)tree_inode_node(tree, id, &place);
	/* A directory with grafts is of one tree alone. */
	assert(place->dir->users == 1);
	source->content->release(source->content);
	source->content = content;
	n->size = size;
	if (n->file.runs) {
		n->file.runs = 0;
		place->dir->sparse--;
	}
	dir_digest(place->dir, &tree->clock);
	return 0;
}

/* ---- extended attributes ---- */

uint32_t tree_xattr_sets(const struct tree *tree)
{
	return (uint32_t)tree->xattrs.starts.count;
}

bool tree_next_xattr(const struct tree *tree, uint32_t set, size_t *at,
		     struct tree_xattr *ret_xattr)
{
	const uint8_t *bytes;
	const uint8_t *record;
	size_t len;

	if (set == 0)
		return false;
	bytes = xattr_sets_get(&tree->xattrs, set, &len);
	if (*at >= len)
		return false;
	record = bytes + *at;
	*ret_xattr = (struct tree_xattr){
		.index = record[0],
		.name_len = record[1],
		.value_len = get_le32(record + 2),
		.name = (const char *)record + XATTR_RECORD,
		.value = record + XATTR_RECORD + record[1],
	};
	*at += XATTR_RECORD + record[1] + ret_xattr->value_len;
	return true;
}

/* ---- the digest ---- */

/*
 * The digest of the directories' digests, and of what the directories do not
 * know: which names are of one inode.
 */
void tree_digest(const struct tree *tree, uint8_t ret_digest[16])
{
	XXH128_canonical_t canonical;
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	for (size_t i = 0; i < tree->places.count; i++)
		XXH3_128bits_update(&state, tree->places.items[i].dir->digest,
				    16);
	for (size_t i = 0; i < tree->further.count; i++) {
		uint8_t record[8];

		put_le32(record, tree->further.items[i].node);
		put_le32(record + 4, tree->further.items[i].inode);
		XXH3_128bits_update(&state, record, sizeof(record));
	}
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(ret_digest, canonical.digest, 16);
}
