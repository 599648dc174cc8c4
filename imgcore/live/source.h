/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_SOURCE_H
#define LIVE_SOURCE_H

/*
 * The directory that is shown: the one that its path leads to. A directory
 * that is held open keeps its number, and its mount keeps the mount's: both
 * together tell it from any other.
 *
 * Threading: one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "imgcore/live.h"

struct source {
	const struct live_options *options;
	uint64_t number; /* of directories so far: from 1 */
	int fd;
	struct opener *opener; /* of the files beneath it; or NULL */
	uint64_t dev;
	uint64_t ino;
	uint64_t mount;
};

/* The directory of the options. 0 or a negative errno. */
int source_init(struct source *source, const struct live_options *options);
void source_release(struct source *source);
/*
 * Follows the path again. *ret_moved: it leads to another directory than
 * before, which takes the place of that one. own_dev: our own mount's, or 0.
 */
int source_look(struct source *source, uint64_t own_dev, bool *ret_moved,
		struct diag *diag);

#endif
