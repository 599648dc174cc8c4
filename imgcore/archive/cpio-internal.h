/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_CPIO_INTERNAL_H
#define ARCHIVE_CPIO_INTERNAL_H

/*
 * The inside of an archive: where each entry stands, and what it is of.
 *
 *     header, name, NUL, up to 4 | data, up to 4 | header ... | trailer, to 512
 *     ^ entry.offset                              ^            ^ cpio.trailer
 */

#include <assert.h>
#include <stdbool.h>

#include "archive/devices.h"
#include "base/math.h"
#include "imgcore/archive.h"

/* Numbers are eight digits of hexadecimal, without a NUL. */
struct newc_header {
	char magic[6]; /* "070701" */
	char ino[8];
	char mode[8];
	char uid[8];
	char gid[8];
	char nlink[8];
	char mtime[8];
	char size[8];
	char dev_major[8];
	char dev_minor[8];
	char major[8];
	char minor[8];
	char name_size[8]; /* with its NUL */
	char check[8]; /* 0: there is none */
};
static_assert(sizeof(struct newc_header) == 110, "buffer-format.rst");

#define NEWC_ALIGN 4u
#define NEWC_BLOCK 512u /* GNU cpio's: an archive is whole ones */
/* Of a name, or a link's target; the kernel skips what is longer. */
#define NEWC_NAME_MAX	4095
#define NEWC_NAME_LIMIT DECIMAL(NEWC_NAME_MAX)
#define NEWC_TRAILER	"TRAILER!!!"

enum entry_flags {
	ENTRY_LISTED = 1 << 0, /* of the list; or else of the tree */
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

struct cpio {
	const struct tree *tree;
	tree_id dir;
	enum cpio_layout layout;
	struct devices list;
	tree_id list_file; /* or TREE_NONE */
	char *prefix; /* of the tree's names: "" or "lib/modules/V/" */
	struct {
		struct cpio_entry *items;
		size_t count, size;
	} entries;
	uint64_t trailer;
	int64_t mtime;
	uint32_t mtime_ns;
};

/* What an entry shows. */
struct cpio_item {
	struct tree_attr attr;
	uint64_t size; /* of its data */
	const char *target; /* the data of a symbolic link */
	tree_id file; /* whose bytes they are otherwise */
};
void cpio_get(const struct cpio *cpio, const struct cpio_entry *entry,
	      struct cpio_item *ret_item);

/* Bytes of a header with its name. */
uint64_t cpio_head_size(size_t name_len);

/* The archive is not older than this. */
void cpio_note_time(struct cpio *cpio, const struct tree_attr *attr);

/* Finds all entries and where they stand; the rest of cpio is set. */
int cpio_map(struct cpio *cpio, struct diag *diag);

#endif
