/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_RESCAN_H
#define LIVE_RESCAN_H

#include <time.h>

#include "live/state.h"

/*
 * Scans what has changed (live->changes), until nothing changes any more. The
 * trees are those of the source at *ret_time, and the caller's. -EAGAIN: the
 * source keeps changing.
 */
int rescan_until_stable(struct live *live, struct trees *ret_trees,
			struct timespec *ret_time, struct diag *diag);

#endif
