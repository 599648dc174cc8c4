/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_CPIO_ENTRIES_H
#define ARCHIVE_CPIO_ENTRIES_H

/* The entries of an archive: their order, their inodes and their offsets. */

#include "archive/cpio_walk.h"

enum entry_flags {
	ENTRY_LISTED = 1 << 0, /* of the list, otherwise of the tree */
	ENTRY_LINKED = 1 << 1, /* other entries have its inode */
	ENTRY_NO_DATA = 1 << 2, /* another one of them has the file's bytes */
};

struct cpio_entry {
	uint64_t offset;
	uint32_t source; /* node, or index in the list */
	uint32_t ino;
	uint32_t nlink;
	uint16_t name_len; /* as it is written, without its NUL */
	uint16_t flags;
};
static_assert(sizeof(struct cpio_entry) == 24, "an entry stays compact");

struct cpio_entries {
	struct cpio_entry *items;
	size_t count, size;
	uint64_t end; /* the trailer's offset */
	/* The youngest of the times of all entries. */
	int64_t mtime;
	uint32_t mtime_ns;
};

/* What an entry shows. */
struct cpio_item {
	struct tree_attr attr;
	uint64_t size; /* of its data */
	const char *target; /* the data of a symbolic link */
	tree_id file; /* otherwise the file that has the data */
};
void cpio_entries_get(const struct cpio_source *source,
		      const struct cpio_entry *entry,
		      struct cpio_item *ret_item);

/* Raises the youngest time to that of attr. */
void cpio_entries_note_time(struct cpio_entries *entries,
			    const struct tree_attr *attr);

/* Finds all entries of the source; *entries has a time and is empty. */
int cpio_entries_find(struct cpio_entries *entries,
		      const struct cpio_source *source, struct diag *diag);

#endif
