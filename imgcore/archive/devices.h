/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_DEVICES_H
#define ARCHIVE_DEVICES_H

/*
 * A list of entries, such as device nodes, that need not be made in the
 * directory, in the form that the kernel's usr/gen_init_cpio reads:
 *
 *     dir NAME MODE UID GID
 *     nod NAME MODE UID GID c|b MAJOR MINOR
 *     slink NAME TARGET MODE UID GID
 *     pipe NAME MODE UID GID
 *     sock NAME MODE UID GID
 *
 * Blanks separate words, MODE is octal; a '#' at the start of a line or of a
 * word starts a comment. Of two lines for one name the later is used.
 * NAME and TARGET have DEVICES_PATH_MAX bytes at most, the kernel's limit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct diag;

/* Bytes of a list, and entries that it makes, including parents. */
#define DEVICES_SIZE_MAX    ((uint64_t)16 << 20)
#define DEVICES_ENTRIES_MAX ((size_t)1 << 20)

#define DEVICES_PATH_MAX 4095u

struct device {
	char *text; /* NULL: path is the beginning of another device's */
	const char *path; /* "dev/console", "" for the root; not terminated */
	size_t path_len;
	unsigned depth; /* names in path */
	uint64_t line; /* from 1 */
	bool implied; /* a directory that lines name only as a parent */
	char *target; /* of a symbolic link */
	struct tree_attr attr; /* times are those of the list */
};

/* Sorted by devices_compare_paths; the parents of each are in it too. */
struct devices {
	struct device *items;
	size_t count;
	size_t size;
	char *path; /* of the list, for messages */
};

/* Reads a regular file of a tree. Sets *devices, which was empty. */
int devices_read(struct devices *devices, const struct tree *tree, tree_id file,
		 struct diag *diag);
/* Adds a directory `path` and those of its parents that are missing. */
int devices_add_dirs(struct devices *devices, const char *path,
		     const struct tree_attr *attr);
void devices_clear(struct devices *devices);

/* "LIST:LINE: reason"; returns err. */
int devices_fail(const struct devices *devices, uint64_t line, int err,
		 struct diag *diag, const char *reason_fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * The order of a walk that shows a directory, then all that is in it, siblings
 * bytewise by name: '/' comes before any other byte.
 */
int devices_compare_paths(const char *a, size_t a_len, const char *b,
			  size_t b_len);

#endif
