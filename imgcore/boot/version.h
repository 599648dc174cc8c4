/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_VERSION_H
#define BOOT_VERSION_H

/* The order of kernel versions. */

#include <stdbool.h>
#include <stddef.h>

/*
 * Negative, zero or positive, as a is older than, the same as or newer than b.
 * Zero for equal strings alone: a total order.
 *
 *     6.8.12 < 6.9.0-rc9 < 6.9.0-rc10 < 6.9.0.old < 6.9.0 < 6.10.0 < bzImage
 *
 * rc, pre, test and git are below the release they lead to, `.old` just below
 * its sibling. A version that starts with no number is above those that do.
 */
int version_compare(const char *a, const char *b);

/* The length of version without a `.old` at its end. */
size_t version_stem_len(const char *version);

#endif
