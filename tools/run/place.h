/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_PLACE_H
#define RUN_PLACE_H

/*
 * The private directory that the disk is mounted on, and the marks of those
 * who work for it: see leash.h.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 */

struct diag;

/*
 * Makes the directory: its absolute path, which the caller frees, and a
 * descriptor, which identifies it whatever is mounted on it.
 */
int place_make(char **ret_place, int *ret_dir_fd, struct diag *diag);
/* Opens that descriptor in another process, before the mount. */
int place_open(const char *place, int *ret_dir_fd);

/* "DIRDISK_PLACE=PLACE": QEMU's. */
char *place_qemu_mark(const char *place);
/* "DIRDISK_SERVES=PLACE": dirdisk's. */
char *place_disk_mark(const char *place);

/*
 * Ends all processes that use it, unmounts the disk and removes the directory.
 * dirdisk, which has been asked to end, gets time to do so. A mount
 * there that is not of FUSE, or another directory of that name, is left alone.
 */
int place_remove(const char *place, int dir_fd, struct diag *diag);

#endif
