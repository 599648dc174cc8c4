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
	int dir_fd; /* of it: as long as that is open, ino is no other's */
	int lock_fd; /* from mountpoint_claim to mountpoint_adopt */
	/*
	 * The mount that is ours, from mountpoint_adopt on. The kernel reuses
	 * device numbers and mount ids at once, so they only tell where to look
	 * for it. What proves it is the unique id (Linux 6.8), or else that our
	 * connection lives: then no other file system has its device number.
	 */
	bool adopted;
	uint64_t mount_id;
	uint32_t major;
	uint32_t minor;
	uint64_t unique_id; /* 0: none */
	int connection; /* the FUSE descriptor */
};

#define MOUNTPOINT_INIT                                       \
	{                                                     \
		.dir_fd = -1, .lock_fd = -1, .connection = -1 \
	}

/*
 * An existing directory on which no dirdisk is mounted. A dirdisk that died
 * there is unmounted first.
 */
int mountpoint_open(struct mountpoint *ret_mnt, const char *path,
		    struct diag *diag);
void mountpoint_clear(struct mountpoint *mnt);

/*
 * Sets the flags of mount(2) of the dirdisk that is mounted there; nothing else
 * of it changes. -EINVAL if there is none.
 */
int mountpoint_remount(const char *path, unsigned long flags,
		       struct diag *diag);

/*
 * Makes sure that it is empty, and that no other dirdisk mounts on it before we
 * have. path is for messages.
 */
int mountpoint_claim(struct mountpoint *mnt, const char *path,
		     struct diag *diag);

/*
 * Remembers what is mounted there now as ours: a mount of `connection`, which
 * the caller has set.
 */
int mountpoint_adopt(struct mountpoint *mnt, struct diag *diag);

/*
 * To be called once the server has the connection: closes it here unless it is
 * needed to know our mount again. While it is open here, a read of the disk
 * waits for a server that died, until mountpoint_clear.
 */
void mountpoint_served(struct mountpoint *mnt);

/*
 * Cuts the connection off, where the kernel lets us: everybody who waits for an
 * answer gets an error. Nothing is served from then on.
 */
void mountpoint_abort(const struct mountpoint *mnt);

/*
 * Takes our mount away at once, from wherever it is now; whoever has a file
 * open there keeps it. Does nothing if it is gone already, and never touches
 * another mount. After an error it can be tried again: -EBUSY says that
 * something else is mounted over it.
 */
int mountpoint_unmount(struct mountpoint *mnt, struct diag *diag);

/*
 * Takes away the FUSE file system that is mounted on a directory; whoever has a
 * file open there keeps it. 0 or a negative errno: -EINVAL if nothing is
 * mounted there, -EBUSY if it is something else.
 */
int mountpoint_detach_fuse(const char *path);

#endif
