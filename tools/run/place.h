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

/* Its absolute path, which the caller frees. */
int place_make(char **ret_place, struct diag *diag);

/* "DIRDISK_PLACE=PLACE": QEMU's. */
char *place_qemu_mark(const char *place);
/* "DIRDISK_SERVES=PLACE": dirdisk's. */
char *place_disk_mark(const char *place);

/*
 * Ends all who work for it, unmounts what is there and removes it. Waits for
 * dirdisk to end by itself, which it has been asked to.
 */
int place_remove(const char *place, struct diag *diag);

#endif
