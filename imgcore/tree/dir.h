/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_DIR_H
#define TREE_DIR_H

/*
 * The entries of one directory, as trees share them: made once by a directory
 * builder, and never changed afterwards, except for the content of a graft
 * before the tree is handed out. Counted. They do not depend on the directory's
 * place in a tree.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/math.h"
#include "imgcore/tree.h"
#include "tree/xattr_set.h"

struct content_source; /* tree/builder.h */

enum node_flags {
	NODE_RESERVED = 1 << 0, /* the file system's own directory */
	NODE_UNSCANNED = 1 << 1, /* shown empty: pruned, or mounted over */
	NODE_GRAFT = 1 << 2, /* made by us: no file of the host */
	NODE_LINKED = 1 << 3, /* there may be further names of its inode */
	/*
	 * A symbolic link that leads out and may be followed: the regular file
	 * it leads to, or the link if it leads to none. Only its path is
	 * stored, and followed again at each open.
	 */
	NODE_LEADS_OUT = 1 << 4,
	NODE_MOUNTED = 1 << 5, /* NODE_UNSCANNED since it is a mount point */
};

/* One name. All numbers are the directory's own: they hold in every tree. */
struct node {
	uint64_t ino;
	uint64_t size; /* file: bytes; link: target's length */
	int64_t mtime;
	int64_t ctime;
	uint64_t name : 56; /* in dir.names */
	uint64_t name_len : 8;
	union {
		struct {
			uint32_t source; /* a graft's: 1 + index, or 0 */
			uint32_t runs; /* 1 + index, 0: dense */
		} file;
		struct {
			uint32_t major;
			uint32_t minor;
		} device;
		uint64_t target; /* in dir.names */
		uint32_t subdir; /* how many subdirectories stand before it */
	};
	uint32_t mtime_ns;
	uint32_t ctime_ns;
	uint32_t uid;
	uint32_t gid;
	uint32_t dev; /* in dir.devices */
	uint32_t xattrs; /* in dir.xattrs, from 1; 0: none */
	uint16_t mode;
	uint16_t flags;
};
static_assert(sizeof(struct node) <= 96, "a node stays compact");

/* The data runs of one sparse file: extents[first ... first + n - 1]. */
struct runs {
	size_t first;
	size_t n;
};

/* What few directories have. */
struct dir_more {
	struct {
		struct content_source **items;
		size_t count, size;
	} sources;
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
	} devices; /* from number 1 on; dir.dev is number 0 */
	struct xattr_sets xattrs;
};

/* The entries of one directory, sorted by name. */
struct dir {
	atomic_uint users;
	uint32_t count; /* entries */
	uint32_t subdirs;
	uint32_t sparse; /* files with holes */
	uint32_t linked; /* entries with NODE_LINKED */
	uint32_t mounted; /* with NODE_MOUNTED */
	uint32_t skipped; /* entries that were left out: unreadable */
	int32_t watch;
	bool grafted; /* some came from a builder */
	bool leads_out; /* some entry does */
	uint64_t dev; /* of most of them */
	uint8_t digest[16]; /* of all that the image shows of them */
	struct dir_more *more; /* NULL: nothing of that */
	char *names;
	struct node nodes[];
};

/* Times after `latest` are shown as `latest`, if clamp is set. */
struct tree_clock {
	bool clamp;
	int64_t latest;
};

/*
 * The time as the image shows it. A node keeps that of the host, which
 * identifies its file, and may have more nanoseconds than a second has.
 */
static inline void node_mtime(const struct tree_clock *clock,
			      const struct node *node, int64_t *ret_seconds,
			      uint32_t *ret_ns)
{
	bool late = clock->clamp && node->mtime >= clock->latest;

	*ret_seconds = late ? clock->latest : node->mtime;
	*ret_ns = late ? 0
		       : (uint32_t)min_u64(node->mtime_ns, NS_PER_SECOND - 1);
}

static inline const char *node_name(const struct dir *dir,
				    const struct node *node)
{
	return dir->names + node->name;
}

static inline uint64_t node_device(const struct dir *dir,
				   const struct node *node)
{
	return node->dev == 0 ? dir->dev
			      : dir->more->devices.items[node->dev - 1];
}

/* NULL if the file is one hole. */
static inline const struct tree_extent *runs_extents(const struct dir *dir,
						     const struct runs *runs)
{
	return runs->n > 0 ? dir->more->extents.items + runs->first : NULL;
}

/* Bytewise, the shorter of two equal beginnings first. */
static inline int name_compare(const char *a, size_t a_len, const char *b,
			       size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (c != 0)
		return c;
	return (a_len > b_len) - (a_len < b_len);
}

struct dir *dir_ref(struct dir *dir);
void dir_unref(struct dir *dir);
/* Computes its digest again. */
void dir_digest(struct dir *dir, const struct tree_clock *clock);
/* The entry of that name, or NULL. */
const struct node *dir_find(const struct dir *dir, const char *name,
			    size_t len);
/* Whether two nodes are of one inode that did not change. */
bool dir_node_same(const struct dir *dir, const struct node *node,
		   const struct dir *other_dir, const struct node *other);
/* Whether they show the same, of the same host files. */
bool dir_equal(const struct dir *a, const struct dir *b);

#endif
