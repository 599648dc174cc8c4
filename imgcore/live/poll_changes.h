/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_POLL_CHANGES_H
#define LIVE_POLL_CHANGES_H

#include "live/state.h"

/*
 * Adds what has changed in the source until now to *changes. trees: those that
 * were scanned last. If the source's path leads to another directory now,
 * live->source.number is another one, and nothing is added. 0 or a negative
 * errno.
 */
int poll_changes(struct live *live, const struct trees *trees,
		 struct watch_changes *changes, struct diag *diag);

#endif
