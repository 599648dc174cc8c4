/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OVERLAY_BUDGET_H
#define IMGCORE_OVERLAY_BUDGET_H

/*
 * How much all overlays of a process may store together. Only a block that an
 * overlay stores for the first time counts; all of them are given back when the
 * overlay ends.
 *
 * Errors: 0 or a negative errno; -ENOSPC when the limit is met.
 * Threading: any number of threads.
 */

#include <stdbool.h>
#include <stdint.h>

struct diag;
struct overlay_budget;

/* The option that a diagnostic names when the limit is met. */
#define OVERLAY_LIMIT_OPTION "--overlay-limit"

/*
 * As a limit: all of the directory's free space but the larger of 256 MiB and
 * 5 % of what was free without the overlays. The free space is read again as
 * the overlays grow, since others take from it too.
 */
#define OVERLAY_LIMIT_FREE_SPACE UINT64_MAX

/* limit: bytes. tmp_fd: the overlays' directory; duplicated. */
int overlay_budget_new(struct overlay_budget **ret_budget, int tmp_fd,
		       uint64_t limit);
/* After the overlays that use it. */
void overlay_budget_free(struct overlay_budget *budget);

int overlay_budget_take(struct overlay_budget *budget, uint64_t bytes,
			struct diag *diag);
void overlay_budget_give(struct overlay_budget *budget, uint64_t bytes);

/* True for the first call only: the limit is reported once. */
bool overlay_budget_report(struct overlay_budget *budget);

#endif
