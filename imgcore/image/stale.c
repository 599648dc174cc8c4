/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/stale.h"

void stale_init(struct stale_list *list)
{
	pthread_mutex_init(&list->lock, NULL);
	list->count = 0;
	list->more = false;
}

void stale_release(struct stale_list *list)
{
	pthread_mutex_destroy(&list->lock);
}

static bool contains(const struct stale_list *list, const struct tree *tree,
		     tree_id node)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].tree == tree && list->items[i].node == node)
			return true;
	return false;
}

void stale_add(struct stale_list *list, const struct tree *tree, tree_id node)
{
	node = tree_inode(tree, node);
	pthread_mutex_lock(&list->lock);
	if (!contains(list, tree, node)) {
		list->more |= list->count == IMAGE_STALE_MAX;
		if (!list->more) {
			list->items[list->count].tree = tree;
			list->items[list->count++].node = node;
		}
	}
	pthread_mutex_unlock(&list->lock);
}

/* IMAGE_PARTS: of no part. */
static unsigned part_of(const struct tree *const trees[IMAGE_PARTS],
			const struct tree *tree)
{
	unsigned part = 0;

	while (part < IMAGE_PARTS && trees[part] != tree)
		part++;
	return part;
}

size_t stale_take(struct stale_list *list,
		  const struct tree *const trees[IMAGE_PARTS],
		  struct image_stale ret_stale[IMAGE_STALE_MAX], bool *ret_more)
{
	size_t n = 0;

	pthread_mutex_lock(&list->lock);
	*ret_more = list->more;
	for (size_t i = 0; i < list->count; i++) {
		unsigned part = part_of(trees, list->items[i].tree);

		if (part < IMAGE_PARTS)
			ret_stale[n++] = (struct image_stale){
				.part = part,
				.node = list->items[i].node,
			};
		else /* of which nothing can be said but that it is stale */
			*ret_more = true;
	}
	list->count = 0;
	list->more = false;
	pthread_mutex_unlock(&list->lock);
	return n;
}
