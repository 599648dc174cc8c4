/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_IMAGE_OPTIONS_H
#define FS_IMAGE_OPTIONS_H

/* From the command line to the disk: the same for every program. */

#include "imgcore/image.h"

struct options;

/*
 * All that options say. The rest is the caller's: the source, what is pruned,
 * who is told of progress. The pointers are those of options.
 */
void image_options_fill(struct image_options *ret_image,
			const struct options *options);

/* The directory whose links are followed; NULL: there is none. */
const char *image_options_follow(const struct options *options);

#endif
