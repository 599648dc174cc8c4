/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OVERLAY_BUDGET_H
#define IMGCORE_OVERLAY_BUDGET_H

/*
 * A limit for what all overlays of a process store together. A block counts
 * once for each overlay that stores it, until that overlay ends.
 *
 * Errors: 0 or a negative errno; -ENOSPC beyond the limit.
 * Threading: any number of threads.
 */

#include <stdbool.h>
#include <stdint.h>

struct diag;
struct overlay_budget;

/* The option that the diagnostic of -ENOSPC names. */
#define OVERLAY_LIMIT_OPTION "--overlay-limit"

/*
 * As a limit: the directory's free space, less the larger of 256 MiB and 5 % of
 * what was free without the overlays. The free space is read again as the
 * overlays grow, since other programs use it too.
 */
#define OVERLAY_LIMIT_FREE_SPACE UINT64_MAX

/* limit: bytes. tmp_fd: the overlays' directory; duplicated. */
int overlay_budget_new(struct overlay_budget **ret_budget, int tmp_fd,
		       uint64_t limit);
/* To be called after the overlays that use it ended. */
void overlay_budget_free(struct overlay_budget *budget);

int overlay_budget_take(struct overlay_budget *budget, uint64_t bytes,
			struct diag *diag);
void overlay_budget_give(struct overlay_budget *budget, uint64_t bytes);

/* True for the first call only: the limit is reported once. */
bool overlay_budget_report(struct overlay_budget *budget);

#endif
