/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_SCAN_DIR_H
#define TREE_SCAN_DIR_H

/*
 * Scans one host directory into a directory builder. It changes no tree: each
 * of several threads may scan a directory of its own.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "imgcore/diag.h"
#include "tree/dir_builder.h"
#include "tree/xattr.h"

struct dir_scan {
	/* What is asked for: the pointers are the caller's. */
	const struct tree_scan_options *options;
	int root_fd;
	const char *root_path;
	const char *path; /* beneath the root; "": the root itself */
	uint64_t dev; /* as its parent showed them */
	uint64_t ino;
	/*
	 * The directory as it was, if it did not change, and which of its own
	 * subdirectories did: ids in a tree where its entries begin at `first`.
	 */
	const struct dir *before;
	tree_id first;
	const tree_id *changed;
	size_t n_changed;
	/* With cross_mounts: this directory, and those above. */
	const struct tree_identity *above;
	size_t n_above;
	struct mount_types *mounts;
	uid_t euid;
	bool reporting; /* entries that fail are reported and left out */
	/* Counts entries as they are read; may be NULL. */
	void (*count)(void *context, uint64_t entries);
	void *context;
	struct xattr_reader xattrs; /* stays from one to the next */

	/* What is found. */
	struct dir_builder builder;
	uint32_t skipped;
	/* Reported when the directory is put into the tree, in its turn. */
	struct {
		struct scan_report {
			char *path;
			char *reason;
			int err; /* 0: no error */
			unsigned number;
		} * items;
		size_t count, size;
	} reports;
	int32_t watch;
	int64_t youngest; /* the latest change time that was read, in ns */
	struct diag diag; /* of the error that dir_scan_run returned */

	/* While it runs. */
	int dirfd;
	int error; /* the first by name */
	char failed[NAME_MAX + 1];
	uint64_t uncounted;
};

/*
 * Reads the directory, or only the entries that changed: 0 or a negative errno
 * with scan->diag. If several entries fail, it is about the first by name.
 */
int dir_scan_run(struct dir_scan *scan);
/* Empties it for the next one, but keeps room that is not large. */
void dir_scan_clear(struct dir_scan *scan);
void dir_scan_release(struct dir_scan *scan);
/* Reports problems and notices, in the order of names. */
void dir_scan_report(struct dir_scan *scan, struct diag *diag);

/* Fills a node from what statx found, except for its name and its place. */
void dir_scan_fill_node(const struct tree_scan_options *options,
			const struct statx *stx, struct node *node);

#endif
