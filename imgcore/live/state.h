/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_STATE_H
#define LIVE_STATE_H

/* The state of a live tree. */

#include <stdatomic.h>
#include <stdbool.h>

#include "image/watch.h"
#include "imgcore/live.h"
#include "live/generation.h"
#include "live/mounts.h"
#include "live/source.h"
#include "live/trees.h"

struct live {
	struct live_options options;
	_Atomic uint64_t own_dev; /* 0: none yet */
	struct boot_grub *grub; /* NULL: none */
	struct watch *watch;
	/* The lock holds for all that follows. */
	pthread_mutex_t mutex;
	struct source source;
	struct mounts mounts;
	struct generation *newest; /* NULL: there is none yet */
	uint64_t newest_source; /* number of the directory it was made from */
	struct watch_changes changes; /* that the newest does not have */
	int64_t scan_start; /* of the last scan, in ns since 1970 */
	bool unwatched; /* some directories of the newest are */
	bool watched_anew; /* the next scan watches all directories */
	bool reported_unwatched;
	bool reported_modules;
};

/*
 * The trees of the newest generation, if it was made from the directory that is
 * the source now; otherwise none.
 */
static inline struct trees newest_trees(const struct live *live)
{
	struct trees trees = { 0 };

	if (live->newest && live->newest_source == live->source.number)
		for (unsigned i = 0; i < IMAGE_PARTS; i++)
			trees.tree[i] = image_tree(live->newest->image, i);
	return trees;
}

/* Whether the newest generation may not be the tree as it is now. */
static inline bool rescan_is_due(const struct live *live)
{
	return live->changes.all || live->changes.watches.count > 0 ||
	       live->unwatched || !newest_trees(live).tree[0];
}

#endif
