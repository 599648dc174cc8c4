/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

struct diag;
struct mount_options;

/*
 * The longest read that the kernel asks for, in bytes. A longer one of a user
 * comes as several at once, for several threads, and what one of them reads is
 * still in its processor's cache when it is sent.
 */
#define MOUNT_MAX_READ (1u << 18)

/*
 * The options of the mount, as FUSE takes them after -o: what the user gave,
 * permission checks by the kernel, MOUNT_MAX_READ, a name (the source's path)
 * and a type. The caller frees.
 */
int mount_list(const struct mount_options *options, const char *source,
	       char **ret_list);

/*
 * Mounts on path, by mount(2) or through fusermount3; nobody serves it yet.
 * The caller closes the descriptor, which leaves the mount. Reaps the children
 * it starts, and must not be called with threads running.
 */
int mount_disk(const char *path, const char *list, int *ret_fd,
	       struct diag *diag);

#endif
