/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_XATTR_H
#define TREE_XATTR_H

/*
 * Reads extended attributes from the host, by the name of an entry in an open
 * directory: no path is built, no symbolic link is followed, and nothing
 * outside of the directory is reached.
 *
 * Linux has calls for that since 6.13. On older kernels the name goes through
 * /proc/thread-self/fd, which takes about twice the time.
 *
 * Threading: one reader for each thread.
 */

#include "tree/dir_builder.h"
#include "tree/xattr_set.h"

struct xattr_reader {
	enum tree_xattrs which;
	bool by_proc;
	bool some; /* the last entry had some */
	bool none_there; /* the file system none_dev has no attributes */
	uint64_t none_dev;
	struct xattr_list list;
	struct {
		char *items;
		size_t count, size;
	} names, value; /* what the calls fill */
	char reason[512]; /* of a failure; "": that of its errno */
};

/* Finds out with dirfd which calls the kernel has. */
int xattr_reader_init(struct xattr_reader *reader, enum tree_xattrs which,
		      int dirfd);
/* Returns a reader for another thread, with what this one found out. */
struct xattr_reader xattr_reader_like(const struct xattr_reader *reader);
void xattr_reader_release(struct xattr_reader *reader);

/*
 * Reads the attributes of an entry into the builder; e->dev is set, "." is the
 * directory itself. 0 or a negative errno, with reader->reason. What only its
 * owner may see, or was removed meanwhile, counts as missing.
 */
int xattrs_scan(struct xattr_reader *reader, struct dir_builder *builder,
		struct entry *e, int dirfd, const char *name);

#endif
