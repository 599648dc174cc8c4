/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPERATIONS_H
#define FS_OPERATIONS_H

/*
 * The file system:
 *
 *     /            inode 1
 *     /disk.img    inodes 64 + 1, 64 + 2, ...: one for each generation
 *     /disk.vmdk   inode 3
 *     /info        inode 4
 *     /info/...    inodes 5, ...
 *
 * To stat(2) all generations of the disk are one file, with the number 2: cp
 * stats the name before it opens it, and would find it replaced.
 */

#include <time.h>

#include <fuse_lowlevel.h>

struct disks;
struct updates;

/* The user data of the session. */
struct fs_context {
	const char *name; /* of the disk */
	const char *vmdk; /* its descriptor's; NULL: there is none */
	struct disks *disks;
	struct updates *updates;
	struct timespec start; /* the time of what never changes */
};

extern const struct fuse_lowlevel_ops operations;

#endif
