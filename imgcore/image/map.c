/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/map.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/math.h"
#include "base/search.h"
#include "base/vec.h"
#include "imgcore/image.h"

#define INDEX_STEP (16u << 10) /* bytes of text for each index entry */
/* Text that a read may skip, and that one step adds to the index. */
#define NEAR (1u << 20)

struct image_map {
	const struct image *image;
	pthread_mutex_t lock; /* of the index */
	struct {
		struct image_map_place
			*items; /* ascending; the first is 0, 0 */
		size_t count, size;
	} index;
	_Atomic uint64_t known; /* text offset of the last index entry */
	_Atomic uint64_t end; /* of the text; UINT64_MAX: not known yet */
};

int image_map_new(struct image_map **ret_map, const struct image *image)
{
	struct image_map *t = calloc(1, sizeof(*t));

	if (!t || !vec_push(&t->index)) {
		free(t);
		return -ENOMEM;
	}
	t->image = image;
	pthread_mutex_init(&t->lock, NULL);
	atomic_init(&t->known, 0);
	atomic_init(&t->end, UINT64_MAX);
	*ret_map = t;
	return 0;
}

void image_map_free(struct image_map *map)
{
	if (!map)
		return;
	vec_free(&map->index);
	pthread_mutex_destroy(&map->lock);
	free(map);
}

/* ---- a line ---- */

struct line {
	char *items;
	size_t count, size;
};

static void line_release(struct line *line)
{
	vec_free(line);
}

/* Escapes a path, so that it stays in one field of one line. */
static int put_path(struct line *line, const char *path)
{
	char *to;

	if (vec_reserve(line, 1 + ESCAPE_SIZE(strlen(path))) < 0)
		return -ENOMEM;
	to = line->items + line->count;
	*to++ = '/';
	to = escape_to(to, path, ESCAPE_BACKSLASH);
	line->count = (size_t)(to - line->items);
	return 0;
}

/* The line at a place, and the place of the next one. */
static int make_line(const struct image *image, struct line *line,
		     const struct image_map_place *at,
		     struct image_map_place *ret_next)
{
	static const char *const kinds[] = {
		[REGION_ZERO] = "zero",
		[REGION_BYTES] = "bytes",
		[REGION_RENDER] = "render",
		[REGION_FILE] = "file",
	};
	_cleanup_free_ char *path = NULL;
	struct region region;
	char fields[256];
	int len, r = 0;

	image_region_at(image, at->disk, &region);
	len = snprintf(fields, sizeof(fields),
		       "%" PRIu64 "\t%" PRIu64 "\t%s\t%u\t%s\t", region.start,
		       region.end, kinds[region.kind], region.partition,
		       region.what);
	line->count = 0;
	if (vec_reserve(line, (size_t)len + 1) < 0)
		return -ENOMEM;
	memcpy(line->items, fields, (size_t)len);
	line->count = (size_t)len;
	if (region.node != TREE_NONE) {
		r = tree_path(image_tree(image, region.part), region.node,
			      &path);
		if (r == 0)
			r = put_path(line, path);
	}
	if (r < 0 || vec_reserve(line, 1) < 0)
		return r < 0 ? r : -ENOMEM;
	line->items[line->count++] = '\n';
	ret_next->disk = region.end;
	ret_next->text = at->text + line->count;
	return 0;
}

/* ---- the index ---- */

/* Adds the start of a line to the index, if the last entry is far away. */
static void note_place(struct image_map *t, const struct image_map_place *at)
{
	struct image_map_place *place;

	if (at->disk == image_size(t->image))
		atomic_store(&t->end, at->text);
	if (at->text < atomic_load(&t->known) + INDEX_STEP)
		return;
	pthread_mutex_lock(&t->lock);
	if (at->text >= t->index.items[t->index.count - 1].text + INDEX_STEP &&
	    (place = vec_push(&t->index))) {
		*place = *at;
		atomic_store(&t->known, at->text);
	}
	pthread_mutex_unlock(&t->lock);
}

/* The last index entry that is not after the offset. */
static struct image_map_place nearest_place(
	struct image_map *t, const struct image_map_place *cursor,
	uint64_t offset)
{
	struct image_map_place place;
	size_t after;

	pthread_mutex_lock(&t->lock);
	after = search_first(t->index.count, i,
			     t->index.items[i].text <= offset);
	place = t->index.items[after - 1];
	pthread_mutex_unlock(&t->lock);
	return cursor->text <= offset && cursor->text > place.text ? *cursor
								   : place;
}

int image_map_explore(struct image_map *map)
{
	_cleanup_(line_release) struct line line = { 0 };
	uint64_t known = atomic_load(&map->known);
	struct image_map_place at =
		nearest_place(map, &(struct image_map_place){ 0 }, UINT64_MAX);
	uint64_t stop = at.text + NEAR;
	int r = 0;

	while (r == 0 && at.text < stop && at.disk < image_size(map->image)) {
		r = make_line(map->image, &line, &at, &at);
		if (r == 0)
			note_place(map, &at);
	}
	/* Without memory for an entry, the index does not advance. */
	if (r == 0 && at.text >= stop && atomic_load(&map->known) == known)
		r = -ENOMEM;
	return r;
}

/* ---- reading ---- */

bool image_map_is_near(struct image_map *map,
		       const struct image_map_place *cursor, uint64_t offset)
{
	return offset >= atomic_load(&map->end) ||
	       offset < atomic_load(&map->known) + NEAR ||
	       (cursor->text <= offset && offset < cursor->text + NEAR);
}

ssize_t image_map_read(struct image_map *map, struct image_map_place *cursor,
		       char *buf, size_t size, uint64_t offset)
{
	_cleanup_(line_release) struct line line = { 0 };
	struct image_map_place at, next;
	size_t done = 0;

	if (offset >= atomic_load(&map->end))
		return 0;
	at = nearest_place(map, cursor, offset);
	while (done < size && at.disk < image_size(map->image)) {
		int r = make_line(map->image, &line, &at, &next);

		if (r < 0)
			return r;
		if (next.text > offset + done) {
			size_t skip = (size_t)(offset + done - at.text);
			size_t n = min_u64(line.count - skip, size - done);

			memcpy(buf + done, line.items + skip, n);
			done += n;
			/* The next read gives the rest of the line. */
			if (n < line.count - skip)
				break;
		}
		at = next;
		note_place(map, &at);
	}
	*cursor = at;
	return (ssize_t)done;
}
