/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ARCHIVE_NEWC_H
#define ARCHIVE_NEWC_H

/*
 * The newc format:
 *
 *     header, name, NUL, up to 4 | data, up to 4 | header ... | trailer, to 512
 *     ^ entry.offset                              ^            ^ cpio.trailer
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/math.h"

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

/* Bytes of a header with its name. */
static inline uint64_t newc_head_size(size_t name_len)
{
	return round_up(sizeof(struct newc_header) + name_len + 1, NEWC_ALIGN);
}

#endif
