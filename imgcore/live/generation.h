/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_GENERATION_H
#define LIVE_GENERATION_H

#include <stdatomic.h>

#include "image/watch.h"
#include "imgcore/live.h"

struct generation {
	atomic_uint refs;
	struct image *image;
	uint64_t number;
	struct timespec time;
	char *cause;
};

/* Takes image and cause over on success; -ENOMEM. */
int generation_new(struct generation **ret_generation, struct image *image,
		   uint64_t number, const struct timespec *time, char *cause);

/*
 * What changed, for people; the directories are those of the new trees, or
 * else of the old ones (NULL: there are none).
 */
int cause_make(const struct watch_changes *changes,
	       const struct tree *const now[IMAGE_PARTS],
	       const struct tree *const old[IMAGE_PARTS], char **ret_text);
/* The path of the change that came last; NULL: none is known. */
int cause_last(const struct watch_changes *changes,
	       const struct tree *const trees[IMAGE_PARTS], char **ret_path);

#endif
