/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In the order of path_compare a directory stands right before all that is in
 * it. So what the directory needs is known from one neighbour: a parent is
 * there if the path before has it, too, as its beginning.
 */
#include "archive/devices.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "imgcore/diag.h"

#define CHUNK	     ((size_t)64 << 10)
#define LONGEST_LINE ((size_t)1 << 20)

int path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	if (i == len)
		return (a_len > b_len) - (a_len < b_len);
	if (a[i] == '/' || b[i] == '/')
		return a[i] == '/' ? -1 : 1;
	return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
}

/* Whether path is in the directory `dir`, at whatever depth. */
static bool is_below(const struct device *path, const struct device *dir)
{
	return dir->path_len == 0 ||
	       (path->path_len > dir->path_len &&
		path->path[dir->path_len] == '/' &&
		memcmp(path->path, dir->path, dir->path_len) == 0);
}

int devices_fail(const struct devices *devices, uint64_t line, int err,
		 struct diag *diag, const char *reason_fmt, ...)
{
	_cleanup_free_ char *where = NULL;
	_cleanup_free_ char *reason = NULL;
	va_list args;

	va_start(args, reason_fmt);
	if (vasprintf(&reason, reason_fmt, args) < 0)
		reason = NULL;
	va_end(args);
	if (asprintf(&where, "%s:%llu", devices->path ? devices->path : "",
		     (unsigned long long)line) < 0)
		where = NULL;
	return diag_set(diag, err, where, "%s",
			reason ? reason : strerror(-err));
}

static int too_many(const struct devices *devices, uint64_t line,
		    struct diag *diag)
{
	return devices_fail(devices, line, -EFBIG, diag,
			    "more than %zu entries, including the directories "
			    "above them; make a second archive",
			    DEVICES_ENTRIES_MAX);
}

void devices_clear(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		device_release(&devices->items[i]);
	vec_free(devices);
	free(devices->path);
	devices->path = NULL;
}

/* ---- the lines ---- */

struct reading {
	struct devices *devices;
	struct diag *diag;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t line;
	struct {
		char *items;
		size_t count, size;
	} text; /* what was read and not taken yet */
};

static int take_line(struct reading *in, char *text)
{
	_cleanup_free_ char *reason = NULL;
	struct device device;
	struct device *new;
	int r = device_parse(&device, text, &reason);

	if (r > 0 && in->devices->count >= DEVICES_ENTRIES_MAX) {
		device_release(&device);
		return too_many(in->devices, in->line, in->diag);
	}
	if (r > 0) {
		new = vec_push(in->devices);
		if (new) {
			device.line = in->line;
			device.attr.mtime = in->mtime;
			device.attr.mtime_ns = in->mtime_ns;
			*new = device;
			return 0;
		}
		r = -ENOMEM;
	}
	device_release(&device);
	if (r == -EINVAL && reason)
		r = devices_fail(in->devices, in->line, r, in->diag, "%s",
				 reason);
	return diag_report(in->diag, r);
}

/* All whole lines in the text; at the end of the file the rest is one. */
static int take_lines(struct reading *in, bool at_end)
{
	char *at = in->text.items;
	char *end = at + in->text.count;
	int r = 0;

	while (r == 0 && at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		if (!newline && !at_end)
			break;
		in->line++;
		if (!newline)
			newline = end;
		*newline = '\0';
		r = take_line(in, at);
		at = newline + 1;
	}
	if (r < 0)
		return r;
	in->text.count = at < end ? (size_t)(end - at) : 0;
	memmove(in->text.items, at, in->text.count);
	if (in->text.count > LONGEST_LINE)
		return devices_fail(in->devices, in->line + 1, -EINVAL,
				    in->diag, "a line of more than %zu MiB",
				    LONGEST_LINE >> 20);
	return 0;
}

/* Where a text has a NUL; its line is found by those that end before. */
static int check_text(const struct reading *in, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);
	uint64_t line = in->line + 1;

	if (!nul)
		return 0;
	for (const char *c = in->text.items; c < nul; c++)
		line += *c == '\n';
	return devices_fail(in->devices, line, -EINVAL, in->diag,
			    "a NUL byte: this is no text");
}

static int read_lines(struct reading *in, const struct tree *tree, tree_id file,
		      uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)min_u64(size - at, CHUNK);
		char *text;
		int r;

		/* One more: the last line is terminated too. */
		if (vec_reserve(&in->text, n + 1) < 0)
			return -ENOMEM;
		text = in->text.items + in->text.count;
		r = tree_read(tree, file, text, n, at, in->diag);
		if (r < 0)
			return r;
		r = check_text(in, text, n);
		if (r < 0)
			return r;
		in->text.count += n;
		at += n;
		r = take_lines(in, at == size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- their order ---- */

static int compare_devices(const void *a, const void *b)
{
	const struct device *x = a;
	const struct device *y = b;
	int c = path_compare(x->path, x->path_len, y->path, y->path_len);

	return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* Of several lines for one name the last one stays. */
static void drop_earlier(struct devices *devices)
{
	size_t kept = 0;

	for (size_t i = 0; i < devices->count; i++) {
		struct device *at = &devices->items[i];
		struct device *last = kept ? &devices->items[kept - 1] : NULL;

		if (last && last->path_len == at->path_len &&
		    memcmp(last->path, at->path, at->path_len) == 0) {
			device_release(last);
			*last = *at;
		} else {
			devices->items[kept++] = *at;
		}
	}
	devices->count = kept;
}

static size_t common_length(const struct device *a, const struct device *b)
{
	size_t len = 0;

	while (len < a->path_len && len < b->path_len &&
	       a->path[len] == b->path[len])
		len++;
	return len;
}

/*
 * Adds child to `all`, after those of its parent directories that the previous
 * entry (`before`) did not add already: so `all` stays sorted.
 */
static int add_with_parents(struct devices *all, const struct device *before,
			    struct device *child)
{
	size_t common = before ? common_length(before, child) : 0;
	struct device *new;

	child->depth = child->path_len > 0;
	for (size_t len = 1; len < child->path_len; len++) {
		if (child->path[len] != '/')
			continue;
		child->depth++;
		if (len < common ||
		    (len == common && before->path_len == common))
			continue;
		if (all->count >= DEVICES_ENTRIES_MAX)
			return -EFBIG;
		new = vec_push(all);
		if (!new)
			return -ENOMEM;
		*new = (struct device){
			.path = child->path,
			.path_len = len,
			.depth = child->depth - 1,
			.line = child->line,
			.implied = true,
			.attr = {
				.mode = S_IFDIR | 0755,
				.mtime = child->attr.mtime,
				.mtime_ns = child->attr.mtime_ns,
			},
		};
	}
	if (all->count >= DEVICES_ENTRIES_MAX)
		return -EFBIG;
	new = vec_push(all);
	if (!new)
		return -ENOMEM;
	*new = *child;
	return 0;
}

/* `all` then has the entries of devices, after a failure some of them. */
static int add_parents(struct devices *devices, struct diag *diag)
{
	struct devices all = { 0 };
	size_t n = devices->count;
	int r = 0;

	if (vec_reserve(&all, n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct device *child = &devices->items[i];

		r = add_with_parents(&all, i ? child - 1 : NULL, child);
		if (r == -EFBIG)
			r = too_many(devices, child->line, diag);
	}
	if (r < 0) {
		/* The texts stay with the lines. */
		vec_free(&all);
		return r;
	}
	free(devices->items);
	devices->items = all.items;
	devices->count = all.count;
	devices->size = all.size;
	return 0;
}

static int check_parents(const struct devices *devices, struct diag *diag)
{
	for (size_t i = 1; i < devices->count; i++) {
		const struct device *dir = &devices->items[i - 1];
		const struct device *at = &devices->items[i];
		int r;

		if (S_ISDIR(dir->attr.mode) || !is_below(at, dir))
			continue;
		r = devices_fail(devices, at->line, -EINVAL, diag,
				 "\"%.*s\" is no directory: see line %llu",
				 (int)dir->path_len, dir->path,
				 (unsigned long long)dir->line);
		r = diag_report(diag, r);
		if (r < 0)
			return r;
	}
	return 0;
}

static void sort(struct devices *devices)
{
	if (devices->count > 0)
		qsort(devices->items, devices->count, sizeof(*devices->items),
		      compare_devices);
}

static int complete(struct devices *devices, struct diag *diag)
{
	int r;

	sort(devices);
	drop_earlier(devices);
	r = add_parents(devices, diag);
	return r < 0 ? r : check_parents(devices, diag);
}

int devices_read(struct devices *devices, const struct tree *tree, tree_id file,
		 struct diag *diag)
{
	struct reading in = { .devices = devices, .diag = diag };
	struct tree_info info;
	int r = tree_host_path(tree, file, &devices->path);

	if (r < 0)
		return r;
	tree_get(tree, file, &info);
	if (info.size > DEVICES_SIZE_MAX)
		return diag_set(diag, -EFBIG, devices->path,
				"has %llu bytes: %llu at most",
				(unsigned long long)info.size,
				(unsigned long long)DEVICES_SIZE_MAX);
	in.mtime = info.attr.mtime;
	in.mtime_ns = info.attr.mtime_ns;
	r = read_lines(&in, tree, file, info.size);
	vec_free(&in.text);
	return r < 0 ? r : complete(devices, diag);
}

int devices_add_dirs(struct devices *devices, const char *path,
		     const struct tree_attr *attr)
{
	struct device *new = vec_push(devices);

	if (!new)
		return -ENOMEM;
	new->text = strdup(path);
	if (!new->text)
		return -ENOMEM;
	new->path = new->text;
	new->path_len = strlen(path);
	new->implied = true;
	new->attr = *attr;
	return complete(devices, NULL);
}
