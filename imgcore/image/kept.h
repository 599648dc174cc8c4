/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_KEPT_H
#define IMAGE_KEPT_H

/*
 * Host files that an image keeps open: those that a boot reads. By its path a
 * file that was replaced or removed is out of reach; its descriptor still has
 * all of it.
 *
 * Threading: kept_new by one thread, for one image; any number of threads may
 * read through the descriptors of this image and of earlier ones meanwhile.
 */

#include <stddef.h>

#include "imgcore/image.h"

struct diag;
struct kept;
struct kept_file;

/*
 * The files of these trees, which must outlive the result (NULL: no such part);
 * image_keep has the rules. previous may be NULL.
 */
int kept_new(struct kept **ret_kept,
	     const struct tree *const trees[IMAGE_PARTS],
	     const struct kept *previous, size_t budget, struct diag *diag);
void kept_free(struct kept *kept);

size_t kept_count(const struct kept *kept);

/* The open file behind a node, or NULL; kept may be NULL. */
struct kept_file *kept_find(const struct kept *kept, const struct tree *tree,
			    tree_id node);

#endif
