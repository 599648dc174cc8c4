/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_PINNED_FILES_H
#define IMAGE_PINNED_FILES_H

/*
 * Host files that an image keeps open: those that a boot reads, and those with
 * several names. A file that was replaced or removed cannot be reached by its
 * path; its descriptor still has
 * all of it.
 *
 * Threading: pinned_files_new by one thread, for one image; any number of
 * threads may read through the descriptors of this image and of earlier ones
 * meanwhile.
 */

#include <stddef.h>

#include "imgcore/image.h"

struct descriptor_budget;
struct diag;
struct pinned_files;
struct pinned_file;
struct watch;

/*
 * The files of these trees, which must outlive the result (NULL: no such part);
 * image_pin has the rules. previous and watch may be NULL.
 */
int pinned_files_new(struct pinned_files **ret_pinned,
		     const struct tree *const trees[IMAGE_PARTS],
		     const struct pinned_files *previous,
		     struct descriptor_budget *descriptors, size_t budget,
		     struct watch *watch, struct diag *diag);
void pinned_files_free(struct pinned_files *pinned);

size_t pinned_files_count(const struct pinned_files *pinned);

/* The open file behind a node, or NULL; kept may be NULL. */
struct pinned_file *pinned_files_find(const struct pinned_files *pinned,
				      const struct tree *tree, tree_id node);

/* See image_watched. */
void pinned_files_watched(const struct pinned_files *pinned,
			  image_watched_fn *found, void *context);

#endif
