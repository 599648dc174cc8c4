/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_FRONT_H
#define FS_FRONT_H

/*
 * The file system, as its operations know it:
 *
 *     /            node 1
 *     /disk.img    nodes 64 + 1, 64 + 2, ...: one a generation
 *     /disk.vmdk   node 3
 *     /info        node 4
 *     /info/...    nodes 5, ...
 *
 * To stat(2) all generations of the disk are one file, with one number: cp
 * looks by name and opens then, and would find it replaced.
 */

#include <time.h>

struct generations;
struct updates;

#define FRONT_DISK_INO 2u
#define FRONT_VMDK_INO 3u
#define FRONT_INFO_INO 4u

struct front {
	const char *name; /* of the disk */
	const char *vmdk; /* its descriptor's; NULL: there is none */
	struct generations *generations;
	struct updates *updates;
	struct timespec start; /* the time of what never changes */
};

#endif
