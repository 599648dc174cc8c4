/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_NODE_H
#define TREE_NODE_H

/*
 * The inside of a tree: one compact record per name. What only few nodes need
 * (grafts, data runs, device ids) stands in side tables.
 */

#include <assert.h>
#include <sys/types.h>

#include "imgcore/tree.h"
#include "tree/xattr_set.h"

enum node_flags {
	NODE_RESERVED = 1 << 0, /* the file system's own directory */
	NODE_UNSCANNED = 1 << 1, /* shown empty: pruned, or mounted over */
	NODE_GRAFT = 1 << 2, /* nothing of the host is behind it */
};

struct node {
	uint64_t ino;
	uint64_t size; /* directory: subdirectories; link: target's length */
	int64_t mtime;
	int64_t ctime;
	uint64_t name : 56; /* in tree.names */
	uint64_t name_len : 8;
	union {
		struct {
			uint32_t first;
			uint32_t count;
		} dir;
		struct {
			uint32_t origin; /* 1 + index, 0: beneath the root */
			uint32_t runs; /* 1 + index, 0: dense */
		} file;
		struct {
			uint32_t major;
			uint32_t minor;
		} device;
		uint64_t target; /* in tree.names */
	};
	uint32_t mtime_ns;
	uint32_t ctime_ns;
	uint32_t uid;
	uint32_t gid;
	uint32_t dev; /* in tree.devices */
	uint32_t parent;
	uint32_t inode;
	uint32_t nlink;
	uint32_t xattrs; /* in tree.xattrs, from 1; 0: none */
	uint16_t mode;
	uint16_t flags;
};
static_assert(sizeof(struct node) <= 96, "a node stays compact");

/* A host directory that grafted files lie in; shared by all of them. */
struct origin_dir {
	dev_t dev;
	ino_t ino;
	int fd;
	unsigned users;
};

/* Where the bytes of a grafted file come from: content, or a host file. */
struct origin {
	struct content *content;
	char *path; /* host file: relative to dir */
	struct origin_dir *dir;
};

void origin_release(struct origin *origin);

/* The data runs of one sparse file: tree.extents[first ... first + n - 1]. */
struct runs {
	size_t first;
	size_t n;
};

struct tree {
	struct {
		struct node *items;
		size_t count, size;
	} nodes;
	struct {
		char *items;
		size_t count, size;
	} names;
	struct {
		struct origin *items;
		size_t count, size;
	} origins;
	struct {
		struct tree_extent *items;
		size_t count, size;
	} extents;
	struct {
		struct runs *items;
		size_t count, size;
	} runs;
	struct {
		uint64_t *items;
		size_t count, size;
	} devices;
	struct {
		tree_id *items;
		size_t count, size;
	} lists[TREE_LISTS];
	struct xattr_sets xattrs;
	uint64_t skipped;
	bool clamp_time; /* later times are shown as latest_time */
	int64_t latest_time;
	char *root_path; /* NULL: not from a host */
	int root_fd;
};

static inline const char *node_name(const struct tree *tree,
				    const struct node *node)
{
	return tree->names.items + node->name;
}

/* As the image shows it; a node keeps the host's, which proves its file. */
static inline void node_mtime(const struct tree *tree, const struct node *node,
			      int64_t *ret_seconds, uint32_t *ret_ns)
{
	bool late = tree->clamp_time && node->mtime >= tree->latest_time;

	*ret_seconds = late ? tree->latest_time : node->mtime;
	*ret_ns = late ? 0 : node->mtime_ns;
}

/* Bytewise, the shorter of two equal beginnings first. */
int name_compare(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
