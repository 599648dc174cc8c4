/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "tree/xattr_set.h"

struct bytes_content {
	struct content content;
	uint8_t bytes[];
};

static int bytes_pread(struct content *content,
		       const struct content_reader *reader, void *buf,
		       size_t len, uint64_t offset)
{
	const struct bytes_content *c = (struct bytes_content *)content;

	memcpy(buf, c->bytes + offset, len);
	return 0;
}

static void bytes_release(struct content *content)
{
	free(content);
}

int content_new_bytes(struct content **ret_content, const void *bytes,
		      size_t len)
{
	struct bytes_content *c = malloc(sizeof(*c) + len);

	if (!c)
		return -ENOMEM;
	c->content = (struct content){ bytes_pread, bytes_release };
	if (len > 0)
		memcpy(c->bytes, bytes, len);
	*ret_content = &c->content;
	return 0;
}

void content_source_unref(struct content_source *source)
{
	if (!source || atomic_fetch_sub(&source->users, 1) > 1)
		return;
	source->content->release(source->content);
	free(source);
}

/* An empty node after the others; its id is the old count. */
static struct builder_node *node_push(struct tree_builder *builder)
{
	struct builder_node *n;

	if (builder->count >= BUILDER_NONE)
		return NULL;
	n = vec_push(builder);
	if (!n)
		return NULL;
	n->first_child = n->last_child = n->next = BUILDER_NONE;
	n->link_to = BUILDER_NONE;
	return n;
}

int tree_builder_new(struct tree_builder **ret_builder,
		     const struct tree_attr *root)
{
	struct tree_builder *b = calloc(1, sizeof(*b));

	if (!b || !node_push(b)) {
		free(b);
		return -ENOMEM;
	}
	b->items[0].attr = *root;
	*ret_builder = b;
	return 0;
}

void tree_builder_clear(struct tree_builder *builder)
{
	for (size_t i = 0; i < builder->count; i++) {
		struct builder_node *n = &builder->items[i];

		content_source_unref(n->source);
		free(n->name);
		free(n->target);
		free(n->extents);
		free(n->xattrs);
	}
	builder->count = 1;
	builder->items[0] = (struct builder_node){
		.attr = builder->items[0].attr,
		.first_child = BUILDER_NONE,
		.last_child = BUILDER_NONE,
		.next = BUILDER_NONE,
		.link_to = BUILDER_NONE,
	};
}

void tree_builder_free(struct tree_builder *builder)
{
	if (!builder)
		return;
	tree_builder_clear(builder);
	vec_free(builder);
	free(builder);
}

int tree_builder_add(struct tree_builder *builder, builder_id parent,
		     const char *name, size_t name_len,
		     const struct tree_attr *attr, builder_id *ret_id)
{
	builder_id id = (builder_id)builder->count;
	struct builder_node *p;
	struct builder_node *n;
	char *copy;

	if (name_len == 0 || name_len > 255 || memchr(name, '/', name_len) ||
	    memchr(name, '\0', name_len) ||
	    (name[0] == '.' &&
	     (name_len == 1 || (name_len == 2 && name[1] == '.'))) ||
	    !S_ISDIR(builder->items[parent].attr.mode))
		return -EINVAL;
	copy = strndup(name, name_len);
	if (!copy)
		return -ENOMEM;
	n = node_push(builder);
	if (!n) {
		free(copy);
		return -ENOMEM;
	}
	n->attr = *attr;
	n->name = copy;
	n->name_len = (uint8_t)name_len;
	p = &builder->items[parent];
	if (p->last_child == BUILDER_NONE)
		p->first_child = id;
	else
		builder->items[p->last_child].next = id;
	p->last_child = id;
	if (ret_id)
		*ret_id = id;
	return 0;
}

int tree_builder_add_content(struct tree_builder *builder, builder_id parent,
			     const char *name, const struct tree_attr *attr,
			     struct content *content, uint64_t size,
			     builder_id *ret_id)
{
	_cleanup_free_ struct content_source *source = malloc(sizeof(*source));
	builder_id id;
	int r;

	if (!source)
		return -ENOMEM;
	r = tree_builder_add(builder, parent, name, strlen(name), attr, &id);
	if (r < 0)
		return r;
	atomic_init(&source->users, 1);
	source->content = content;
	builder->items[id].source = take_ptr(source);
	builder->items[id].size = size;
	if (ret_id)
		*ret_id = id;
	return 0;
}

int tree_builder_add_symlink(struct tree_builder *builder, builder_id parent,
			     const char *name, const struct tree_attr *attr,
			     const char *target, size_t target_len,
			     builder_id *ret_id)
{
	struct tree_attr link_attr = *attr;
	char *copy = malloc(target_len + 1);
	builder_id id;
	int r;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, target, target_len);
	copy[target_len] = '\0';
	link_attr.mode = S_IFLNK | 0777;
	r = tree_builder_add(builder, parent, name, strlen(name), &link_attr,
			     &id);
	if (r < 0) {
		free(copy);
		return r;
	}
	builder->items[id].target = copy;
	builder->items[id].size = target_len;
	if (ret_id)
		*ret_id = id;
	return 0;
}

int tree_builder_add_link(struct tree_builder *builder, builder_id parent,
			  const char *name, size_t name_len, builder_id file)
{
	struct tree_attr attr = builder->items[file].attr;
	builder_id id;
	int r;

	if (S_ISDIR(attr.mode) || builder->items[file].link_to != BUILDER_NONE)
		return -EINVAL;
	r = tree_builder_add(builder, parent, name, name_len, &attr, &id);
	if (r < 0)
		return r;
	builder->items[id].link_to = file;
	builder->items[file].linked = true;
	return 0;
}

int tree_builder_mkdirs(struct tree_builder *builder, builder_id parent,
			const char *path, const struct tree_attr *attr,
			builder_id *ret_id)
{
	struct tree_attr dir_attr = *attr;

	dir_attr.mode = S_IFDIR | (attr->mode & 07777);
	while (*path) {
		size_t len = strcspn(path, "/");
		builder_id id = builder->items[parent].first_child;

		while (id != BUILDER_NONE &&
		       (builder->items[id].name_len != len ||
			memcmp(builder->items[id].name, path, len) != 0))
			id = builder->items[id].next;
		if (len > 0 && id == BUILDER_NONE) {
			int r = tree_builder_add(builder, parent, path, len,
						 &dir_attr, &id);

			if (r < 0)
				return r;
		}
		if (len > 0)
			parent = id;
		if (!S_ISDIR(builder->items[parent].attr.mode))
			return -ENOTDIR;
		path += len + (path[len] == '/');
	}
	*ret_id = parent;
	return 0;
}

void tree_builder_reserve(struct tree_builder *builder, builder_id dir)
{
	builder->items[dir].reserved = true;
}

int tree_builder_set_extents(struct tree_builder *builder, builder_id file,
			     const struct tree_extent *extents, size_t n)
{
	struct tree_extent *copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, extents, n * sizeof(*copy));
	free(builder->items[file].extents);
	builder->items[file].extents = copy;
	builder->items[file].n_extents = n;
	return 0;
}

int tree_builder_set_xattrs(struct tree_builder *builder, builder_id id,
			    const struct tree_host_xattr *xattrs, size_t n)
{
	_cleanup_(xattr_list_release) struct xattr_list list = { 0 };
	_cleanup_free_ uint8_t *set = NULL;
	int r;

	for (size_t i = 0; i < n; i++) {
		const char *rest;
		uint8_t index;

		if (xattr_set_classify(xattrs[i].name, TREE_XATTRS_KEEP, &index,
				       &rest) != XATTR_TAKEN)
			return -EINVAL;
		r = xattr_list_add(&list, index, rest, xattrs[i].value,
				   xattrs[i].value_len);
		if (r < 0)
			return r;
	}
	set = malloc(xattr_list_size(&list) + 1);
	if (!set)
		return -ENOMEM;
	r = xattr_list_finish(&list, set);
	if (r < 0)
		return r;
	free(builder->items[id].xattrs);
	builder->items[id].xattrs = take_ptr(set);
	builder->items[id].xattrs_len = xattr_list_size(&list);
	return 0;
}
