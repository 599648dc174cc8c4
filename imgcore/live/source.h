/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_SOURCE_H
#define LIVE_SOURCE_H

/*
 * The directory that is on the disk: the one that the source's path leads to.
 * While it is open, its inode number and its mount id are not reused: together
 * they identify it.
 *
 * Threading: one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "imgcore/live.h"

struct source {
	const struct live_options *options;
	uint64_t number; /* counts directories, from 1 */
	int fd;
	struct opener *opener; /* of the files beneath it; or NULL */
	uint64_t dev;
	uint64_t ino;
	uint64_t mount;
};

/* Takes the directory of the options. 0 or a negative errno. */
int source_init(struct source *source, const struct live_options *options);
void source_release(struct source *source);
/*
 * Follows the path again. *ret_moved: it leads to another directory than
 * before, which is now that of *source. own_dev: st_dev of our mount, or 0;
 * mountinfo: as in mount_type_is_disk. -EXDEV: it leads to the mount of this or
 * another disk, which may wait for this one.
 */
int source_poll(struct source *source, uint64_t own_dev, int mountinfo,
		bool *ret_moved, struct diag *diag);

#endif
