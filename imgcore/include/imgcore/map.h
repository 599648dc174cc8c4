/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_MAP_H
#define IMGCORE_MAP_H

/*
 * The map of an image as text: a line for each region. It is computed piece by
 * piece as it is read, and never held as a whole: of the text that has been
 * read it keeps an index of positions, 16 bytes for each 16 KiB. A read starts
 * at one of these positions, or where the reader's previous read ended.
 *
 *     START  END  KIND  PARTITION  WHAT  PATH     separated by tabs
 *
 * Units: bytes. PATH is that of the node in its tree, escaped, or empty.
 * Errors: 0 or a negative errno.
 * Threading: any number of threads, except for image_map_explore.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct image;
struct image_map;

/* The start of a line in the text, and of its region on the disk. */
struct image_map_place {
	uint64_t text;
	uint64_t disk;
};

/* image must outlive the map. */
int image_map_new(struct image_map **ret_map, const struct image *image);
void image_map_free(struct image_map *map);

/*
 * Whether a read at the offset takes little time. Otherwise the index has to be
 * extended first. cursor: one for each reader, zeroes at first.
 */
bool image_map_is_near(struct image_map *map,
		       const struct image_map_place *cursor, uint64_t offset);
/* Reads bytes that are near, fewer at the end; sets the cursor. */
ssize_t image_map_read(struct image_map *map, struct image_map_place *cursor,
		       char *buf, size_t size, uint64_t offset);
/* Extends the index a little. One thread at a time. */
int image_map_explore(struct image_map *map);

#endif
