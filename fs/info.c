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

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/image.h"
#include "imgcore/live.h"
#include "log.h"

/* ---- texts ---- */

/* A path on one line, and in one field of it. */
static void print_path(FILE *out, const char *path)
{
	putc('/', out);
	for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
		if (*s < 0x20 || *s == 0x7f || *s == '\\')
			fprintf(out, "\\x%02x", *s);
		else
			putc(*s, out);
	}
}

static int print_region(FILE *out, const struct image *image,
			const struct image_region *region)
{
	static const char *const kinds[] = {
		[IMAGE_ZERO] = "zero",
		[IMAGE_BYTES] = "bytes",
		[IMAGE_RENDER] = "render",
		[IMAGE_FILE] = "file",
	};
	_cleanup_free_ char *path = NULL;
	int r;

	fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t%s\t%u\t%s\t", region->start,
		region->end, kinds[region->kind], region->partition,
		region->what);
	if (region->node != TREE_NONE) {
		r = tree_path(image_tree(image, region->partition - 1),
			      region->node, &path);
		if (r < 0)
			return r;
		print_path(out, path);
	}
	putc('\n', out);
	return 0;
}

static int write_layout(const struct image *image, FILE *out)
{
	struct image_region region = { 0 };
	uint64_t size = image_size(image);
	int r = 0;

	for (uint64_t at = 0; r == 0 && at < size; at = region.end) {
		image_region_at(image, at, &region);
		r = print_region(out, image, &region);
	}
	return r;
}

static int make_layout(struct generation *generation, char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -errno;
	r = write_layout(generation_image(generation), out);
	/* It fails for want of memory alone. */
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}

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
	const char *cause = generation_cause(generation);
	size_t len = strlen(cause);
	int64_t ns = generation_time(generation);
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm utc;
	char time[sizeof("2026-01-01T00:00:00")];

	gmtime_r(&seconds, &utc);
	strftime(time, sizeof(time), "%FT%T", &utc);
	if (asprintf(ret_text, "number: %" PRIu64 "\ntime: %s.%09ldZ\n\n%s%s",
		     generation_number(generation), time,
		     (long)(ns % 1000000000), cause,
		     len && cause[len - 1] != '\n' ? "\n" : "") < 0)
		return -ENOMEM;
	return 0;
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
	{ "generation", true, make_generation },
	{ "kernels", true, make_kernels },
	{ "layout", true, make_layout },
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

/*
 * Its text is made by the first read: a long one shall not keep those waiting
 * who want to open something.
 */
struct info {
	atomic_uint refs;
	size_t file;
	struct generation *generation;
	pthread_mutex_t lock; /* of the text, until it is there */
	char *text; /* NULL: not made yet */
	size_t len;
};

int info_open(struct info **ret_info, size_t file,
	      struct generation *generation)
{
	struct info *info = calloc(1, sizeof(*info));

	if (!info)
		return -ENOMEM;
	atomic_init(&info->refs, 1);
	info->file = file;
	if (generation)
		info->generation = generation_ref(generation);
	pthread_mutex_init(&info->lock, NULL);
	*ret_info = info;
	return 0;
}

int info_open_text(struct info **ret_info, char *text)
{
	int r = info_open(ret_info, 0, NULL);

	if (r == 0)
		(*ret_info)->text = text;
	return r;
}

void info_ref(struct info *info)
{
	atomic_fetch_add_explicit(&info->refs, 1, memory_order_relaxed);
}

void info_unref(struct info *info)
{
	if (atomic_fetch_sub_explicit(&info->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (info->generation)
		generation_unref(info->generation);
	pthread_mutex_destroy(&info->lock);
	free(info->text);
	free(info);
}

static int make_text(struct info *info)
{
	int r = 0;

	pthread_mutex_lock(&info->lock);
	if (!info->text)
		r = files[info->file].make(info->generation, &info->text);
	if (r == 0)
		info->len = strlen(info->text);
	pthread_mutex_unlock(&info->lock);
	return r;
}

ssize_t info_read(struct info *info, size_t size, uint64_t offset,
		  const char **ret_bytes)
{
	int r = make_text(info);

	if (r < 0)
		return r;
	if (offset >= info->len)
		return 0;
	*ret_bytes = info->text + offset;
	return (ssize_t)min_u64(size, info->len - offset);
}
