/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_KEPT_H
#define IMAGE_KEPT_H

/*
 * Host files that an image keeps open: those that a boot reads, and those with
 * several names. A file that was replaced or removed cannot be reached by its
 * path; its descriptor still has
 * all of it.
 *
 * Threading: kept_new by one thread, for one image; any number of threads may
 * read through the descriptors of this image and of earlier ones meanwhile.
 */

#include <stddef.h>

#include "imgcore/image.h"

struct descriptors;
struct diag;
struct kept;
struct kept_file;
struct watch;

/*
 * The files of these trees, which must outlive the result (NULL: no such part);
 * image_keep has the rules. previous and watch may be NULL.
 */
int kept_new(struct kept **ret_kept,
	     const struct tree *const trees[IMAGE_PARTS],
	     const struct kept *previous, struct descriptors *descriptors,
	     size_t budget, struct watch *watch, struct diag *diag);
void kept_free(struct kept *kept);

size_t kept_count(const struct kept *kept);

/* The open file behind a node, or NULL; kept may be NULL. */
struct kept_file *kept_find(const struct kept *kept, const struct tree *tree,
			    tree_id node);

/* See image_watched. */
void kept_watched(const struct kept *kept, image_watched_fn *found,
		  void *context);

#endif
