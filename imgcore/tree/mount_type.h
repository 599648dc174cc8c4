/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_MOUNT_TYPE_H
#define TREE_MOUNT_TYPE_H

/* What is mounted below a tree: whether a scan may go into it. */

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the mount of that id (statx's stx_mnt_id) holds files that can be
 * shown: not an interface of the kernel's, nor a disk of dirdisk's, which might
 * wait for this scan in turn. fd: /proc/self/mountinfo. False where it is not
 * known. Any thread.
 */
bool mount_holds_files(int fd, uint64_t id);

#endif
