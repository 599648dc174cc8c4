/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

/*
 * The directory MNT, before, while and after the disk is mounted on it.
 *
 * Nothing here asks the server of a mount for anything, so it cannot wait for
 * a process that no longer answers, or for ourselves. The one exception is the
 * question whether a dirdisk that is mounted there already still lives.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 */

#include <stdbool.h>
#include <stdint.h>

struct diag;

struct mountpoint {
	char *path; /* absolute, no link in it */
	uint64_t dev; /* of the directory below the mount */
	uint64_t ino;
	int lock_fd; /* from mountpoint_claim to mountpoint_adopt */
	/* The mount that is ours, from mountpoint_adopt on. */
	bool adopted;
	uint64_t mount_id;
	uint32_t major;
	uint32_t minor;
};

#define MOUNTPOINT_INIT       \
	{                     \
		.lock_fd = -1 \
	}

/*
 * An existing directory on which no dirdisk is mounted. A dirdisk that died
 * there is unmounted first.
 */
int mountpoint_open(struct mountpoint *ret_mnt, const char *path,
		    struct diag *diag);
void mountpoint_clear(struct mountpoint *mnt);

/*
 * Makes sure that it is empty, and that no other dirdisk mounts on it before we
 * have. path is for messages.
 */
int mountpoint_claim(struct mountpoint *mnt, const char *path,
		     struct diag *diag);

/* Remembers what is mounted there now as ours. */
int mountpoint_adopt(struct mountpoint *mnt, struct diag *diag);

/*
 * Takes our mount away at once, from wherever it is now; whoever has a file
 * open there keeps it. Does nothing if it is gone already, and never touches
 * another mount.
 */
int mountpoint_unmount(struct mountpoint *mnt, struct diag *diag);

/*
 * Takes away what is mounted on a directory, whatever it is; whoever has a file
 * open there keeps it. 0 or a negative errno.
 */
int mountpoint_detach(const char *path);

#endif
