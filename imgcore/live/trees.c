/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/trees.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

void trees_release(struct trees *trees)
{
	image_trees_release(&trees->owned);
	*trees = (struct trees){ 0 };
}

bool trees_equal(const struct trees *a, const struct trees *b)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		const struct tree *x = a->tree[i];
		const struct tree *y = b->tree[i];

		if (x != y && (!x || !y || !tree_equal(x, y)))
			return false;
	}
	return true;
}

int trees_watches(const struct trees *trees, struct numbers *watches)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		size_t n;
		const tree_id *dirs = tree_list(trees->tree[i], TREE_LIST_DIRS,
						&n);

		for (size_t k = 0; k < n; k++) {
			int32_t watch = tree_watch(trees->tree[i], dirs[k]);

			if (watch >= 0 &&
			    numbers_add(watches, (uint64_t)watch) < 0)
				return -ENOMEM;
		}
	}
	numbers_sort(watches);
	return 0;
}

size_t trees_directories(const struct trees *trees, bool unwatched)
{
	size_t sum = 0;

	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		size_t n;
		const tree_id *dirs = tree_list(trees->tree[i], TREE_LIST_DIRS,
						&n);

		for (size_t k = 0; k < n; k++) {
			int32_t watch = tree_watch(trees->tree[i], dirs[k]);

			sum += watch == TREE_UNWATCHED ||
			       (!unwatched && watch != TREE_NOT_HOST);
		}
	}
	return sum;
}

int trees_changed(const struct trees *trees, enum image_part part,
		  const struct watch_changes *changes, tree_id **ret_ids,
		  size_t *ret_n)
{
	const struct tree *tree = trees->tree[part];
	_cleanup_(numbers_release) struct numbers dirs = { 0 };
	size_t n;
	const tree_id *ids = tree_list(tree, TREE_LIST_DIRS, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int32_t watch = tree_watch(tree, ids[i]);

		if (watch == TREE_UNWATCHED ||
		    (watch >= 0 &&
		     (changes->all ||
		      numbers_has(&changes->watches, (uint64_t)watch))))
			r = numbers_add(&dirs, ids[i]);
	}
	numbers_sort(&dirs);
	if (r < 0)
		return r;
	*ret_ids = calloc(dirs.count + 1, sizeof(**ret_ids));
	if (!*ret_ids)
		return -ENOMEM;
	for (size_t i = 0; i < dirs.count; i++)
		(*ret_ids)[i] = (tree_id)dirs.items[i];
	*ret_n = dirs.count;
	return 0;
}
