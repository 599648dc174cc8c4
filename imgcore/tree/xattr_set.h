/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_XATTR_SET_H
#define TREE_XATTR_SET_H

/*
 * Sets of extended attributes, in a form that makes equal sets equal bytes. A
 * set is a sequence of attributes:
 *
 *     u8 index   of the namespace, as ext2 numbers them
 *     u8 length  of the name without its namespace; 0 for an ACL
 *     u32 length of the value, little-endian
 *     name, value (an ACL in the form that ext2 keeps)
 *
 * in the order of index, length of the name, and name: that of ext2's blocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

#define XATTR_RECORD 6u /* bytes before the name */

enum xattr_class {
	XATTR_TAKEN,
	/*
	 * Not data of the file, but an interface of the host file system
	 * (system.nfs4_acl, btrfs.compression): no other file system accepts
	 * it, and copies by cp or rsync do not have it either.
	 */
	XATTR_LEFT_OUT,
	XATTR_UNKNOWN, /* may be data, and ext2 has no place for it */
};

/* Returns the class of a name ("user.x"); if it is taken, index and rest. */
enum xattr_class xattr_set_classify(const char *name, enum tree_xattrs which,
				    uint8_t *ret_index, const char **ret_rest);

/*
 * Converts a POSIX access control list from the form in which Linux hands it
 * out (system.posix_acl_access and _default) to the form that ext2 keeps. Both
 * are a version and entries, little-endian:
 *
 *     handed out    u32 2; entries: u16 tag, u16 permissions, u32 id
 *     kept          u32 1; the same, without the id if the tag has none
 *
 * Writes at most len bytes to ret_kept, and returns how many; -EINVAL: it is
 * malformed. Source: the kernel's posix_acl_xattr.h and fs/ext4/acl.h.
 */
long xattr_set_keep_acl(const uint8_t *acl, size_t len, uint8_t *ret_kept);

/* A set while it is made. */
struct xattr_list {
	struct {
		struct xattr_item {
			size_t start; /* in bytes, of its record */
			size_t len;
		} * items;
		size_t count, size;
	} attrs;
	struct {
		uint8_t *items;
		size_t count, size;
	} bytes;
};

void xattr_list_clear(struct xattr_list *list);
void xattr_list_release(struct xattr_list *list);
/*
 * Adds an attribute. -EINVAL: a name over 255 bytes, or a malformed ACL;
 * -ENOMEM.
 */
int xattr_list_add(struct xattr_list *list, uint8_t index, const char *rest,
		   const void *value, size_t len);
/* The bytes of the set as they will be. */
static inline size_t xattr_list_size(const struct xattr_list *list)
{
	return list->bytes.count;
}
/* Sorts, and writes the set. -EEXIST: two of one name. */
int xattr_list_finish(struct xattr_list *list, uint8_t *ret_set);

/* ---- all sets of a tree ---- */

struct xattr_sets {
	struct {
		uint8_t *items;
		size_t count, size;
	} bytes;
	/* Where each starts in bytes; it ends where the next one starts. */
	struct {
		size_t *items;
		size_t count, size;
	} starts;
};

/* Finds a set by its bytes: open addressing, linear probing. */
struct xattr_index {
	uint32_t *slots; /* number of a set, 0: empty */
	size_t size; /* a power of two, or 0 */
};

/* The number, from 1, of the set of these bytes; an empty one is 0. */
int xattr_sets_intern(struct xattr_sets *sets, struct xattr_index *index,
		      const uint8_t *set, size_t len, uint32_t *ret_number);
void xattr_index_release(struct xattr_index *index);
void xattr_sets_release(struct xattr_sets *sets);
/* The bytes of a set. */
static inline const uint8_t *xattr_sets_get(const struct xattr_sets *sets,
					    uint32_t number, size_t *ret_len)
{
	size_t start = sets->starts.items[number - 1];
	size_t end = number < sets->starts.count ? sets->starts.items[number]
						 : sets->bytes.count;

	*ret_len = end - start;
	return sets->bytes.items + start;
}

#endif
