/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_XATTR_H
#define TREE_XATTR_H

/*
 * Extended attributes as they are read from a host: by the name of an entry
 * in an open directory, so that no path is built, no symbolic link followed
 * and nothing outside of the directory reached.
 *
 * Linux has calls for that since 6.13. Before, the name goes through
 * /proc/thread-self/fd, which takes about twice the time.
 *
 * Threading: a reader for each thread.
 */

#include "tree/dir_builder.h"
#include "tree/xattr_set.h"

struct xattr_reader {
	enum tree_xattrs which;
	bool by_proc;
	bool some; /* the last entry had some */
	bool none_there; /* a file system without them was met: this one */
	uint64_t none_dev;
	struct xattr_list list;
	struct {
		char *items;
		size_t count, size;
	} names, value; /* what the calls fill */
	char reason[512]; /* what is wrong, where one of ours failed; or "" */
};

/* Finds out by dirfd which calls there are. */
int xattr_reader_init(struct xattr_reader *reader, enum tree_xattrs which,
		      int dirfd);
/* One for another thread, that knows what this one found out. */
struct xattr_reader xattr_reader_like(const struct xattr_reader *reader);
void xattr_reader_release(struct xattr_reader *reader);

/*
 * Reads those of an entry that e stands for (e->dev is set) into the builder;
 * "." is the directory itself. 0 or a negative errno, with reader->reason. What
 * its owner alone may see, or went away meanwhile, counts as not there.
 */
int xattrs_scan(struct xattr_reader *reader, struct dir_builder *builder,
		struct entry *e, int dirfd, const char *name);

#endif
