/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OPENER_H
#define IMGCORE_OPENER_H

/*
 * How the files of a source are opened. A process that may not open them
 * itself (it gave that right up, see fs/confine.h) asks another one; NULL in
 * place of a struct opener: it opens them.
 *
 * Errors: a descriptor, which is the caller's, or a negative errno.
 * Ownership: counted. Threading: any number of threads may use one opener.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Opens files for one source. Both calls are those below, or NULL. */
struct opener {
	atomic_uint users; /* 1 for who makes it */
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
 * nothing above, and no other file system (-EXDEV); with cross_mounts, any but
 * own_dev, which is st_dev of our own mount, or 0. The path may be longer than
 * PATH_MAX; "" is the directory itself. Reading does not touch access times
 * where the caller may ask for that.
 */
int opener_open(struct opener *opener, int root_fd, const char *path,
		bool cross_mounts, uint64_t own_dev, int flags);

/*
 * Follows the symbolic link at a path beneath a directory to the regular file
 * that it leads to, and opens that; nothing on own_dev is asked. -ENODEV: there
 * is no link of the effective user's that leads out of the directory, or it
 * leads to own_dev, or to something else than a regular file.
 */
int opener_open_link(struct opener *opener, int root_fd, const char *path,
		     uint64_t own_dev, int flags);

/*
 * The directory that an absolute path leads to now, symbolic links in it
 * followed, as a place (O_PATH). -EXDEV: it is on own_dev. What the kernel has
 * cached costs two system calls.
 */
int opener_find(const char *path, uint64_t own_dev);

#endif
