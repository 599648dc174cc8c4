/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_STALE_H
#define IMAGE_STALE_H

/*
 * Files that were seen to be stale since somebody last asked, each once.
 * Threading: any number of threads; the lock is taken only where a file is
 * stale, and to ask.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "imgcore/image.h"

struct stale_list {
	pthread_mutex_t lock;
	size_t count;
	bool more; /* than there is room for */
	struct {
		const struct tree *tree;
		tree_id node;
	} items[IMAGE_STALE_MAX];
};

void stale_init(struct stale_list *list);
void stale_release(struct stale_list *list);
void stale_add(struct stale_list *list, const struct tree *tree, tree_id node);
/* Empties it. Files of these trees; see image_take_stale. */
size_t stale_take(struct stale_list *list,
		  const struct tree *const trees[IMAGE_PARTS],
		  struct image_stale ret_stale[IMAGE_STALE_MAX],
		  bool *ret_more);

#endif
