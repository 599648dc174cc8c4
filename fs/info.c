/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "info.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/math.h"
#include "base/vec.h"
#include "buffer.h"
#include "imgcore/image.h"
#include "imgcore/live.h"
#include "imgcore/map.h"
#include "log.h"
#include "mount.h"

/* ---- texts ---- */

static int make_menu(struct generation *generation, char **ret_text)
{
	return generation_menu(generation, ret_text);
}

static int make_kernels(struct generation *generation, char **ret_text)
{
	return generation_kernels(generation, ret_text);
}

static int make_generation(struct generation *generation, char **ret_text)
{
	const char *reason = generation_reason(generation);
	size_t len = strlen(reason);
	int64_t ns = generation_time(generation);
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm utc;
	char time[sizeof("2026-01-01T00:00:00")];

	gmtime_r(&seconds, &utc);
	strftime(time, sizeof(time), "%FT%T", &utc);
	if (asprintf(ret_text, "number: %" PRIu64 "\ntime: %s.%09ldZ\n\n%s%s",
		     generation_number(generation), time,
		     (long)(ns % 1000000000), reason,
		     len && reason[len - 1] != '\n' ? "\n" : "") < 0)
		return -ENOMEM;
	return 0;
}

static int make_boot(struct generation *generation, char **ret_text)
{
	return generation_boot(generation, ret_text);
}

static int make_log(struct generation *none, char **ret_text)
{
	return log_text(ret_text);
}

static const struct {
	const char *name;
	bool of_generation;
	int (*make)(struct generation *generation, char **ret_text);
} files[] = {
	{ "boot", true, make_boot },
	{ "generation", true, make_generation },
	{ "kernels", true, make_kernels },
	{ "layout", true, NULL }, /* read through image_map */
	{ "log", false, make_log },
	{ "menu", true, make_menu },
};

/* ---- files ---- */

const char *info_name(size_t file)
{
	return file < ARRAY_SIZE(files) ? files[file].name : NULL;
}

bool info_find(const char *name, size_t *ret_file)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, name) == 0) {
			*ret_file = i;
			return true;
		}
	}
	return false;
}

bool info_of_generation(size_t file)
{
	return files[file].of_generation;
}

/* ---- texts that open files share ---- */

struct text {
	atomic_uint refs;
	size_t len;
	char *bytes;
};

/* Takes over bytes, also on failure. NULL: no memory. */
static struct text *text_new(char *bytes)
{
	struct text *text = malloc(sizeof(*text));

	if (!text) {
		free(bytes);
		return NULL;
	}
	atomic_init(&text->refs, 1);
	text->len = strlen(bytes);
	text->bytes = bytes;
	return text;
}

static struct text *text_ref(struct text *text)
{
	atomic_fetch_add_explicit(&text->refs, 1, memory_order_relaxed);
	return text;
}

static void text_unref(struct text *text)
{
	if (!text ||
	    atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(text->bytes);
	free(text);
}

/* The text of a file as last made, which all its open files share. */
struct shared_text {
	pthread_mutex_t lock;
	struct text *text; /* NULL: not made yet */
	uint64_t lines; /* info/log: log_count when the text was made */
};

static struct shared_text log_shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A read beyond the known part of the layout's index, which waits. */
struct far_read {
	fuse_req_t req;
	struct info *info;
	size_t size;
	uint64_t offset;
};

struct info_set {
	atomic_uint refs;
	struct generation *generation;
	struct shared_text texts[ARRAY_SIZE(files)];
	struct image_map *layout;
	pthread_mutex_t lock; /* of what follows */
	bool exploring; /* a thread extends the index for the queue */
	struct {
		struct far_read *items;
		size_t count, size;
	} far;
};

int info_set_new(struct info_set **ret_set, struct generation *generation)
{
	struct info_set *set = calloc(1, sizeof(*set));
	int r;

	if (!set)
		return -ENOMEM;
	r = image_map_new(&set->layout, generation_image(generation));
	if (r < 0) {
		free(set);
		return r;
	}
	atomic_init(&set->refs, 1);
	set->generation = generation_ref(generation);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		pthread_mutex_init(&set->texts[i].lock, NULL);
	pthread_mutex_init(&set->lock, NULL);
	*ret_set = set;
	return 0;
}

static struct info_set *info_set_ref(struct info_set *set)
{
	atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void info_set_unref(struct info_set *set)
{
	if (!set ||
	    atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		text_unref(set->texts[i].text);
		pthread_mutex_destroy(&set->texts[i].lock);
	}
	vec_free(&set->far);
	pthread_mutex_destroy(&set->lock);
	image_map_free(set->layout);
	generation_unref(set->generation);
	free(set);
}

/* ---- open files ---- */

/*
 * Its text is made by the first read: a long one shall not keep those waiting
 * who want to open something.
 */
struct info {
	atomic_uint refs;
	size_t file;
	struct info_set *set; /* NULL: it is about no generation */
	pthread_mutex_t lock; /* of what follows */
	struct text *text; /* NULL: not made yet, or the layout */
	struct image_map_place cursor;
};

int info_open(struct info **ret_info, size_t file, struct info_set *set)
{
	struct info *info = calloc(1, sizeof(*info));

	if (!info)
		return -ENOMEM;
	atomic_init(&info->refs, 1);
	info->file = file;
	if (set)
		info->set = info_set_ref(set);
	pthread_mutex_init(&info->lock, NULL);
	*ret_info = info;
	return 0;
}

int info_open_text(struct info **ret_info, char *text)
{
	int r = info_open(ret_info, 0, NULL);

	if (r < 0) {
		free(text);
		return r;
	}
	(*ret_info)->text = text_new(text);
	if ((*ret_info)->text)
		return 0;
	info_unref(*ret_info);
	return -ENOMEM;
}

static void info_ref(struct info *info)
{
	atomic_fetch_add_explicit(&info->refs, 1, memory_order_relaxed);
}

void info_unref(struct info *info)
{
	if (atomic_fetch_sub_explicit(&info->refs, 1, memory_order_acq_rel) > 1)
		return;
	info_set_unref(info->set);
	pthread_mutex_destroy(&info->lock);
	text_unref(info->text);
	free(info);
}

/* ---- reading ---- */

static int share_text(struct info *info, struct text **ret_text)
{
	struct shared_text *shared = info->set ? &info->set->texts[info->file]
					       : &log_shared;
	uint64_t lines = info->set ? 0 : log_count();
	char *bytes;
	int r = 0;

	pthread_mutex_lock(&shared->lock);
	if (!shared->text || shared->lines != lines) {
		r = files[info->file].make(
			info->set ? info->set->generation : NULL, &bytes);
		if (r == 0) {
			text_unref(shared->text);
			shared->text = text_new(bytes);
			shared->lines = lines;
			r = shared->text ? 0 : -ENOMEM;
		}
	}
	if (r == 0)
		*ret_text = text_ref(shared->text);
	pthread_mutex_unlock(&shared->lock);
	return r;
}

static void read_text(struct info *info, fuse_req_t req, size_t size,
		      uint64_t offset)
{
	int r = 0;

	pthread_mutex_lock(&info->lock);
	if (!info->text)
		r = share_text(info, &info->text);
	pthread_mutex_unlock(&info->lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (offset >= info->text->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, info->text->bytes + offset,
			       min_u64(size, info->text->len - offset));
}

static struct image_map_place info_cursor(struct info *info)
{
	struct image_map_place cursor;

	pthread_mutex_lock(&info->lock);
	cursor = info->cursor;
	pthread_mutex_unlock(&info->lock);
	return cursor;
}

static void read_near(struct info *info, fuse_req_t req, size_t size,
		      uint64_t offset)
{
	struct image_map_place cursor = info_cursor(info);
	char *buf = buffer_get();
	ssize_t n = -ENOMEM;

	if (buf)
		n = image_map_read(info->set->layout, &cursor, buf,
				   min_u64(size, MOUNT_MAX_READ), offset);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	pthread_mutex_lock(&info->lock);
	info->cursor = cursor;
	pthread_mutex_unlock(&info->lock);
	fuse_reply_buf(req, buf, (size_t)n);
}

/* Takes a read from the queue that need not wait any more. */
static bool take_ready(struct info_set *set, bool all, struct far_read *ret)
{
	for (size_t i = 0; i < set->far.count; i++) {
		struct far_read *far = &set->far.items[i];
		struct image_map_place cursor = info_cursor(far->info);

		if (!all && !fuse_req_interrupted(far->req) &&
		    !image_map_is_near(set->layout, &cursor, far->offset))
			continue;
		*ret = *far;
		*far = set->far.items[--set->far.count];
		return true;
	}
	return false;
}

/* Extends the index until no read waits; the caller holds the lock. */
static void explore(struct info_set *set)
{
	struct far_read far;
	int r = 0;

	while (set->far.count) {
		bool taken = take_ready(set, r < 0, &far);

		pthread_mutex_unlock(&set->lock);
		if (!taken)
			r = image_map_explore(set->layout);
		else if (r < 0)
			fuse_reply_err(far.req, -r);
		else if (fuse_req_interrupted(far.req))
			fuse_reply_err(far.req, EINTR);
		else
			read_near(far.info, far.req, far.size, far.offset);
		if (taken)
			info_unref(far.info);
		pthread_mutex_lock(&set->lock);
	}
}

/*
 * Queues a read that has to wait for the index. One thread extends the index
 * for all of them, so that the others can serve meanwhile.
 */
static void read_far(struct info *info, fuse_req_t req, size_t size,
		     uint64_t offset)
{
	struct info_set *set = info_set_ref(info->set);
	struct far_read *far;

	pthread_mutex_lock(&set->lock);
	far = vec_push(&set->far);
	if (far) {
		*far = (struct far_read){ req, info, size, offset };
		info_ref(info);
	}
	if (!set->exploring) {
		set->exploring = true;
		explore(set);
		set->exploring = false;
	}
	pthread_mutex_unlock(&set->lock);
	if (!far)
		fuse_reply_err(req, ENOMEM);
	info_set_unref(set);
}

void info_read(struct info *info, fuse_req_t req, size_t size, uint64_t offset)
{
	struct image_map_place cursor;

	/* After the answer the file may be closed at any time. */
	info_ref(info);
	cursor = info_cursor(info);
	if (info->text || files[info->file].make)
		read_text(info, req, size, offset);
	else if (image_map_is_near(info->set->layout, &cursor, offset))
		read_near(info, req, size, offset);
	else
		read_far(info, req, size, offset);
	info_unref(info);
}
