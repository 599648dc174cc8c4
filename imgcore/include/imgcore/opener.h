/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OPENER_H
#define IMGCORE_OPENER_H

/*
 * How the files of a source are opened. NULL in place of a struct opener: by
 * the process itself. A process that has given up that right (fs/confine.h)
 * asks another one.
 *
 * Results: a descriptor, which is the caller's, or a negative errno.
 * Ownership: counted. Threading: any number of threads may use one opener.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Opens files for one source. If a member is NULL, the function below with the
 * same purpose is used.
 */
struct opener {
	atomic_uint users; /* 1 at first: the maker's */
	int (*open)(struct opener *opener, const char *path, uint64_t own_dev,
		    int flags);
	int (*open_link)(struct opener *opener, const char *path,
			 uint64_t own_dev, int flags);
	void (*release)(struct opener *opener); /* after its last user */
};

struct opener *opener_ref(struct opener *opener);
void opener_unref(struct opener *opener);

/*
 * Opens a path beneath a directory: no symbolic link on the way or at its end,
 * nothing above, and no other file system (-EXDEV); with cross_mounts, any
 * except own_dev, which is st_dev of our own mount, or 0. The path may be
 * longer than PATH_MAX; "" is the directory itself. Reading does not touch
 * access times where the caller may ask for that.
 */
int opener_open(struct opener *opener, int root_fd, const char *path,
		bool cross_mounts, uint64_t own_dev, int flags);

/*
 * Opens the regular file that the symbolic link at a path beneath a directory
 * leads to; own_dev gets no request. -ENODEV: there is no link of the effective
 * user that leads out of the directory, or it leads to own_dev, or not to a
 * regular file.
 */
int opener_open_link(struct opener *opener, int root_fd, const char *path,
		     uint64_t own_dev, int flags);

/*
 * Opens the directory that an absolute path leads to now, with O_PATH; symbolic
 * links are followed. -EXDEV: it is on own_dev, or the way to it leads through
 * the root of another disk's mount. Two system calls if the kernel has the path
 * cached: then only own_dev is checked. mountinfo: /proc/self/mountinfo, or -1:
 * it is opened if it is needed. *ret_stx: STATX_BASIC_STATS and STATX_MNT_ID of
 * the directory; NULL is allowed.
 */
int opener_find(const char *path, uint64_t own_dev, int mountinfo,
		struct statx *ret_stx);

#endif
