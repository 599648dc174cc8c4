/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

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
	/* Since the newest was made, and not in it. */
	struct watch_changes changes;
	int64_t scan_start; /* of the last scan, in ns since 1970 */
	bool unwatched; /* some directories of the newest are */
	bool watched_anew; /* the next scan watches all directories */
	bool told_unwatched;
	bool told_modules;
};

/* Scans until nothing changes any more: what live_newest then makes a disk of.
 */
int rest_reach(struct live *live, struct trees *ret_trees,
	       struct timespec *ret_time, struct diag *diag);
/* Adds what has changed until now to live->changes. */
int rest_look(struct live *live, const struct trees *trees, struct diag *diag);
/* Whether that makes a scan necessary. */
bool rest_is_due(const struct live *live);
/*
 * The trees of the newest generation, if it was made from the directory that is
 * the source now; otherwise none.
 */
struct trees rest_newest(const struct live *live);

#endif
