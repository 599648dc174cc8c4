/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

/*
 * The directory MNT, before, while and after the disk is mounted on it.
 *
 * Once the disk is mounted, no call here sends a request to the server of a
 * mount, so none can wait for a process that no longer answers, or for this
 * one. Before that, mountpoint_open and mountpoint_claim open and list the
 * directory, and ask a FUSE file system that is mounted on it whether it still
 * answers.
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
	int dir_fd; /* while it is open, no other directory gets ino */
	int lock_fd; /* from mountpoint_claim to mountpoint_adopt */
	/*
	 * Our mount, from mountpoint_adopt on. The kernel reuses device numbers
	 * and mount ids at once, so they are only hints. The unique id (Linux
	 * 6.8) proves that a mount is ours; without it, a live connection does:
	 * no other file system then has its device number.
	 */
	bool adopted;
	uint64_t mount_id;
	uint32_t major;
	uint32_t minor;
	uint64_t unique_id; /* 0: none */
	int connection; /* the FUSE descriptor */
	int abort_fd; /* of the connection, from mountpoint_unmount on */
};

#define MOUNTPOINT_INIT                                                       \
	{                                                                     \
		.dir_fd = -1, .lock_fd = -1, .connection = -1, .abort_fd = -1 \
	}

/*
 * An existing directory on which no dirdisk is mounted. A dirdisk that died
 * there is unmounted first.
 */
int mountpoint_open(struct mountpoint *ret_mnt, const char *path,
		    struct diag *diag);
void mountpoint_clear(struct mountpoint *mnt);

/*
 * Sets the mount(2) flags of the dirdisk that is mounted there, and nothing
 * else. -EINVAL if there is none.
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
 * Records the mount that is there now as ours: one of `connection`, which the
 * caller has set.
 */
int mountpoint_adopt(struct mountpoint *mnt, struct diag *diag);

/*
 * Closes the connection here, once the server has it, unless it is needed to
 * recognize our mount. In that case a read of the disk waits for a server that
 * died until mountpoint_clear.
 */
void mountpoint_served(struct mountpoint *mnt);

/*
 * Aborts the connection, if the kernel permits it: all requests that wait for
 * an answer fail, and the disk is no longer served. After mountpoint_unmount,
 * too: programs may still have files of it open.
 */
void mountpoint_abort(const struct mountpoint *mnt);

/*
 * Detaches our mount, wherever it is now; files that are open there stay open.
 * Does nothing if it is gone already. Another mount is detached only if it is
 * made between the check and the call; see LIMITATIONS in dirdisk(1). After an
 * error it can be tried again; -EBUSY: something else is mounted over it.
 */
int mountpoint_unmount(struct mountpoint *mnt, struct diag *diag);

/*
 * Detaches the FUSE file system that is mounted on a directory; files that are
 * open there stay open. 0 or a negative errno: -EINVAL if nothing is mounted
 * there, -EBUSY if it is another file system.
 */
int mountpoint_detach_fuse(const char *path);

#endif
