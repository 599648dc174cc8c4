/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_BOOTS_H
#define RUN_BOOTS_H

/*
 * What a disk boots: its menu, and the kernels and initial RAM disks that the
 * menu names, by their host files' identity.
 *
 * Errors: negative errno.
 */

#include <stdbool.h>

#include "base/cleanup.h"

struct boots;

/* place: where the disk is mounted. */
int boots_read(struct boots **ret_boots, const char *src, const char *place);
void boots_free(struct boots *boots);

DEFINE_CLEANUP(struct boots, boots_free)
#define _cleanup_boots_ _cleanup_(boots_freep)

/* What is different, in a few words that the caller frees; NULL: nothing. */
int boots_difference(const struct boots *old, const struct boots *now,
		     char **ret_text);

/*
 * Something can be booted, and no kernel is there in part only: none of these,
 * and none that the menu had before and has not now.
 */
bool boots_ready(const struct boots *old, const struct boots *now);

#endif
