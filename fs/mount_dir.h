/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNT_DIR_H
#define FS_MOUNT_DIR_H

/*
 * The private directory that --private mounts the disk on.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 */

struct diag;

/*
 * Makes it, for its owner only, below XDG_RUNTIME_DIR, TMPDIR or /tmp: the
 * first of them where that succeeds. The caller frees its absolute path, and
 * closes the descriptor, which identifies it whatever is mounted on it.
 */
int mount_dir_make(char **ret_path, int *ret_fd, struct diag *diag);

/*
 * Removes it, and detaches a FUSE file system that is still mounted there. It
 * sends no request to that. 0 too if there is no such directory. Another
 * directory than the descriptor's (-1: none is known), one that is not empty,
 * or has another file system on it, is left alone.
 */
int mount_dir_remove(const char *path, int fd, struct diag *diag);

#endif
