/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "tree/node.h"

int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (c != 0)
		return c;
	return (a_len > b_len) - (a_len < b_len);
}

void origin_release(struct origin *origin)
{
	struct origin_dir *dir = origin->dir;

	if (origin->content)
		origin->content->release(origin->content);
	if (dir && --dir->users == 0) {
		close(dir->fd);
		free(dir);
	}
	free(origin->path);
	*origin = (struct origin){ 0 };
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->origins.count; i++)
		origin_release(&tree->origins.items[i]);
	vec_free(&tree->nodes);
	vec_free(&tree->names);
	vec_free(&tree->origins);
	vec_free(&tree->extents);
	vec_free(&tree->runs);
	vec_free(&tree->devices);
	for (size_t i = 0; i < TREE_LISTS; i++)
		vec_free(&tree->lists[i]);
	xattr_sets_release(&tree->xattrs);
	if (tree->root_fd >= 0)
		close(tree->root_fd);
	free(tree->root_path);
	free(tree);
}

uint32_t tree_count(const struct tree *tree)
{
	return (uint32_t)tree->nodes.count;
}

uint64_t tree_skipped(const struct tree *tree)
{
	return tree->skipped;
}

static void get_attr(const struct tree *tree, const struct node *node,
		     struct tree_attr *attr)
{
	*attr = (struct tree_attr){
		.mode = node->mode,
		.uid = node->uid,
		.gid = node->gid,
	};
	node_mtime(tree, node, &attr->mtime, &attr->mtime_ns);
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) {
		attr->major = node->device.major;
		attr->minor = node->device.minor;
	}
}

void tree_get(const struct tree *tree, tree_id id, struct tree_info *info)
{
	const struct node *own = &tree->nodes.items[id];
	const struct node *node = &tree->nodes.items[own->inode];

	*info = (struct tree_info){
		.name = node_name(tree, own),
		.name_len = own->name_len,
		.parent = own->parent,
		.inode = own->inode,
		.nlink = node->nlink,
		.reserved = node->flags & NODE_RESERVED,
		.xattrs = node->xattrs,
	};
	get_attr(tree, node, &info->attr);
	if (S_ISDIR(node->mode)) {
		info->first_child = node->dir.first;
		info->n_children = node->dir.count;
		info->n_subdirs = (uint32_t)node->size;
	} else if (S_ISLNK(node->mode)) {
		info->size = node->size;
		info->target = tree->names.items + node->target;
	} else if (S_ISREG(node->mode)) {
		info->size = node->size;
		if (node->file.runs) {
			const struct runs *r =
				&tree->runs.items[node->file.runs - 1];

			info->sparse = true;
			info->extents = tree->extents.items + r->first;
			info->n_extents = r->n;
		}
	}
}

uint32_t tree_mode(const struct tree *tree, tree_id id)
{
	return tree->nodes.items[tree->nodes.items[id].inode].mode;
}

tree_id tree_inode(const struct tree *tree, tree_id id)
{
	return tree->nodes.items[id].inode;
}

const tree_id *tree_list(const struct tree *tree, enum tree_list list,
			 size_t *ret_n)
{
	*ret_n = tree->lists[list].count;
	return tree->lists[list].items;
}

const char *tree_name(const struct tree *tree, tree_id id, size_t *ret_len)
{
	const struct node *n = &tree->nodes.items[id];

	*ret_len = n->name_len;
	return node_name(tree, n);
}

tree_id tree_child(const struct tree *tree, tree_id dir, const char *name,
		   size_t name_len)
{
	const struct node *d = &tree->nodes.items[dir];
	uint32_t lo = 0;
	uint32_t hi;

	if (!S_ISDIR(d->mode))
		return TREE_NONE;
	hi = d->dir.count;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct node *n = &tree->nodes.items[d->dir.first + mid];
		int c = name_compare(name, name_len, node_name(tree, n),
				     n->name_len);

		if (c == 0)
			return d->dir.first + mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return TREE_NONE;
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

/* The path with `prefix` before it; a '/' between the two where needed. */
static int path_below(const struct tree *tree, tree_id id, const char *prefix,
		      char **ret_path)
{
	size_t prefix_len = strlen(prefix);
	size_t len = 0;
	char *path;
	char *p;

	for (tree_id i = id; i != TREE_ROOT; i = tree->nodes.items[i].parent)
		len += tree->nodes.items[i].name_len + 1u;
	path = malloc(prefix_len + len + 1);
	if (!path)
		return -ENOMEM;
	memcpy(path, prefix, prefix_len);
	p = path + prefix_len + len;
	*p = '\0';
	for (tree_id i = id; i != TREE_ROOT; i = tree->nodes.items[i].parent) {
		const struct node *n = &tree->nodes.items[i];

		p -= n->name_len;
		memcpy(p, node_name(tree, n), n->name_len);
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
	return path_below(tree, id, tree->root_path ? tree->root_path : "",
			  ret_path);
}

/* The origin of a grafted regular file, or NULL. */
static const struct origin *node_origin(const struct tree *tree, tree_id id)
{
	const struct node *n = &tree->nodes.items[tree->nodes.items[id].inode];

	if (!S_ISREG(n->mode) || !n->file.origin)
		return NULL;
	return &tree->origins.items[n->file.origin - 1];
}

struct content *tree_content(const struct tree *tree, tree_id id)
{
	const struct origin *o = node_origin(tree, id);

	return o ? o->content : NULL;
}

int tree_set_content(struct tree *tree, tree_id id, struct content *content,
		     uint64_t size)
{
	struct node *n = &tree->nodes.items[tree->nodes.items[id].inode];
	struct origin *o;

	if (!tree_content(tree, id))
		return -EINVAL;
	o = &tree->origins.items[n->file.origin - 1];
	o->content->release(o->content);
	o->content = content;
	n->size = size;
	n->file.runs = 0;
	return 0;
}
