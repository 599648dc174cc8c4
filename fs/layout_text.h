/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_LAYOUT_TEXT_H
#define FS_LAYOUT_TEXT_H

/*
 * The text of info/layout: a line for each region of an image. It is computed
 * as it is read, and never held as a whole. An index of positions in it grows
 * with the text that has been read: 16 bytes for 16 KiB. A read starts at one
 * of these positions, or where the reader's previous read ended.
 *
 * Errors: 0 or a negative errno.
 * Threading: any number of threads, but for layout_text_explore.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct image;
struct layout_text;

/* The start of a line in the text, and of its region on the disk. */
struct layout_place {
	uint64_t text;
	uint64_t disk;
};

/* image must outlive it. */
int layout_text_new(struct layout_text **ret_text, const struct image *image);
void layout_text_free(struct layout_text *text);

/*
 * Whether a read at the offset takes little time. Otherwise the index has to be
 * extended first. cursor: one for each reader, zeroes at first.
 */
bool layout_text_is_near(struct layout_text *text,
			 const struct layout_place *cursor, uint64_t offset);
/* Reads bytes that are near, fewer at the end; sets the cursor. */
ssize_t layout_text_read(struct layout_text *text, struct layout_place *cursor,
			 char *buf, size_t size, uint64_t offset);
/* Extends the index a little. One thread at a time. */
int layout_text_explore(struct layout_text *text);

#endif
