/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_ORIGIN_H
#define TREE_ORIGIN_H

/*
 * The source of a grafted file's bytes: counted, since trees share directories.
 * Made only in the caller's threads: a thread that scans has a descriptor table
 * of its own, and its descriptors end with it.
 */

#include <stdatomic.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "imgcore/tree.h"

/* A host directory that grafted files lie in; shared by all of them. */
struct origin_dir {
	dev_t dev;
	ino_t ino;
	int fd;
	atomic_uint users;
};

/* Where the bytes of a grafted file come from: content, or a host file. */
struct origin {
	atomic_uint users;
	struct content *content;
	char *path; /* host file: relative to dir */
	struct origin_dir *dir;
};

/* An empty one, or NULL. */
struct origin *origin_new(void);
void origin_unref(struct origin *origin);
/* A directory of its own, which st describes; dirfd is duplicated. */
int origin_set_dir(struct origin *origin, int dirfd, const struct stat *st);
/* Opens the host file for reading: a descriptor or a negative errno. */
int origin_open(const struct origin *origin);

DEFINE_CLEANUP(struct origin, origin_unref)

#endif
