/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_TREES_H
#define LIVE_TREES_H

#include <stdbool.h>

#include "image/numbers.h"
#include "image/watch.h"
#include "imgcore/image.h"

/* The trees of a disk; NULL: there are none. */
struct trees {
	const struct tree *tree[IMAGE_PARTS];
	struct image_trees owned; /* the same, to be freed, or an image's */
};

void trees_release(struct trees *trees);
bool trees_equal(const struct trees *a, const struct trees *b);
/* Adds the watches of all directories, and sorts them. 0 or -ENOMEM. */
int trees_watches(const struct trees *trees, struct numbers *watches);
/* Returns the number of the host's directories, or of those without a watch. */
size_t trees_directories(const struct trees *trees, bool unwatched);
/*
 * Returns the directories of a part that have to be read: those that changed,
 * and those without a watch. The caller frees the ids. 0 or -ENOMEM.
 */
int trees_changed(const struct trees *trees, enum image_part part,
		  const struct watch_changes *changes, tree_id **ret_ids,
		  size_t *ret_n);

#endif
