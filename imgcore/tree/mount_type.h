/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_MOUNT_TYPE_H
#define TREE_MOUNT_TYPE_H

/* Whether a scan may enter what is mounted below a tree. */

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the mount with an id (statx's stx_mnt_id) holds files that can be
 * shown: it is neither an interface of the kernel nor a disk of dirdisk, which
 * might wait for this scan. fd: /proc/self/mountinfo. False if it is not known.
 * Any thread.
 */
bool mount_holds_files(int fd, uint64_t id);

#endif
