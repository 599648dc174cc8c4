/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_MOUNT_TYPE_H
#define TREE_MOUNT_TYPE_H

/* Whether a scan may enter what is mounted below a tree. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The file system type of a mounted disk, as mountinfo has it. */
#define DISK_FSTYPE  "fuse." DISK_SUBTYPE
#define DISK_SUBTYPE "dirdisk"

/*
 * The types of all mounts, for the length of one scan. The list is read when
 * it is first needed, and again for an id that is not in it: reading it costs
 * as much as there are mounts. The id of a mount that ends may be given to
 * another one, whose type is then wrong until the next scan.
 */
struct mount_types {
	int fd; /* as mountinfo_read takes it */
	pthread_mutex_t mutex; /* of the list */
	struct {
		struct mount_type *items; /* sorted by id */
		size_t count, size;
	} list;
};

void mount_types_init(struct mount_types *types, int fd);
void mount_types_release(struct mount_types *types);

/*
 * Whether the mount with an id (statx's stx_mnt_id) holds files that can be
 * shown: it is neither an interface of the kernel nor a disk of dirdisk, which
 * might wait for this scan. False if it is not known. Any thread.
 */
bool mount_types_hold_files(struct mount_types *types, uint64_t id);

/*
 * Whether an open file (STATX_BASIC_STATS and STATX_MNT_ID of it) is on a disk
 * of dirdisk. It sends no request to that disk, which may wait for this
 * process. mountinfo: /proc/self/mountinfo, or -1: it is opened if it is
 * needed. False if it is not known.
 */
bool mount_type_is_disk(int mountinfo, const struct statx *stx);

#endif
