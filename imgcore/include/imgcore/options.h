/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OPTIONS_H
#define IMGCORE_OPTIONS_H

/*
 * All that a user can set of a disk, as keys and values: the same for every
 * front end, on a command line (imgcore/command_line.h) or one by one.
 *
 * Errors: -EINVAL with a diagnostic that names the option, -ENOMEM.
 * Ownership: values are copied; options_clear frees them.
 * Threading: any number of threads, each with its own struct.
 */

#include <stdint.h>

#include "imgcore/live.h"
#include "imgcore/option_row.h"

struct options {
	/*
	 * What the library takes; image is a part of it. The source, what is
	 * pruned and who is told of changes are for the caller to fill in.
	 */
	struct live_options live;
	uint64_t overlay_limit; /* bytes, or OVERLAY_LIMIT_FREE_SPACE */
};

/* The defaults. */
void options_init(struct options *ret_options);
void options_clear(struct options *options);

/*
 * Sets one option. value: NULL for an option without one. The key
 * SOURCE_DATE_EPOCH has the meaning of the environment's variable.
 */
int options_set(struct options *options, const char *key, const char *value,
		struct diag *diag);

/* The rows of struct options; the last one is empty. */
extern const struct option_row options_rows[];

#endif
