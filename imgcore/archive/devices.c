/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In the order of devices_compare_paths a directory stands right before all
 * that is in it. So what an entry needs is known from one neighbour: a parent
 * is there if it is the beginning of the path before, too.
 */
#include "archive/devices.h"

#include <errno.h>
#include <limits.h>
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

int devices_compare_paths(const char *a, size_t a_len, const char *b,
			  size_t b_len)
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

static void device_release(struct device *device)
{
	free(device->text);
	free(device->target);
	*device = (struct device){ 0 };
}

void devices_clear(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		device_release(&devices->items[i]);
	vec_free(devices);
	free(devices->path);
	devices->path = NULL;
}

/* ---- one line ---- */

/* The most words of any kind, and one that is too many. */
#define WORDS_MAX 9

static const struct kind {
	const char *name;
	uint32_t type;
	size_t words;
	size_t mode; /* which word is MODE; UID and GID follow */
	const char *form;
} kinds[] = {
	{ "dir", S_IFDIR, 5, 2, "dir NAME MODE UID GID" },
	{ "nod", 0, 8, 2, "nod NAME MODE UID GID c|b MAJOR MINOR" },
	{ "slink", S_IFLNK, 6, 3, "slink NAME TARGET MODE UID GID" },
	{ "pipe", S_IFIFO, 5, 2, "pipe NAME MODE UID GID" },
	{ "sock", S_IFSOCK, 5, 2, "sock NAME MODE UID GID" },
};

/* Sets the reason of a line that is wrong. */
#define fail(reason, ...)                                                \
	(asprintf(reason, __VA_ARGS__) < 0 ? (*(reason) = NULL, -ENOMEM) \
					   : -EINVAL)

static int parse_number(const char *word, const char *what, uint32_t most,
			uint32_t *ret, char **ret_reason)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(word, &end, 10);
	if (*word < '0' || *word > '9' || *end != '\0' || errno || n > most)
		return fail(ret_reason, "%s \"%.64s\" is no number up to %u",
			    what, word, most);
	*ret = (uint32_t)n;
	return 0;
}

/* Copies a path; then leaves its names, with one '/' between them. */
static int parse_name(const char *word, struct device *device,
		      char **ret_reason)
{
	const char *at;
	char *end;

	device->path = device->text = strdup(word);
	if (!device->text)
		return -ENOMEM;
	at = end = device->text;
	while (*at != '\0') {
		size_t len = strcspn(at, "/");

		if (len == 2 && memcmp(at, "..", 2) == 0)
			return fail(ret_reason, "a name cannot hold \"..\"");
		if (len > NAME_MAX)
			return fail(ret_reason,
				    "a name of %zu bytes: %d at most", len,
				    NAME_MAX);
		if (len > 0 && !(len == 1 && *at == '.')) {
			if (end != device->text)
				*end++ = '/';
			memmove(end, at, len);
			end += len;
		}
		at += len + (at[len] == '/');
	}
	*end = '\0';
	device->path_len = (size_t)(end - device->text);
	return 0;
}

/* MODE UID GID, and for a device c|b MAJOR MINOR. */
static int parse_attr(char *const *words, uint32_t type, struct tree_attr *attr,
		      char **ret_reason)
{
	const char *c = words[0];
	uint32_t mode = 0;
	int r;

	while (*c >= '0' && *c <= '7' && mode <= 07777)
		mode = mode * 8 + (uint32_t)(*c++ - '0');
	if (c == words[0] || *c != '\0' || mode > 07777)
		return fail(ret_reason,
			    "mode \"%.64s\" is no octal number up to 7777",
			    words[0]);
	attr->mode = type | mode;
	/* chown would leave the last one as it is. */
	r = parse_number(words[1], "uid", UINT32_MAX - 1, &attr->uid,
			 ret_reason);
	if (r == 0)
		r = parse_number(words[2], "gid", UINT32_MAX - 1, &attr->gid,
				 ret_reason);
	if (r < 0 || type)
		return r;
	if (strcmp(words[3], "c") != 0 && strcmp(words[3], "b") != 0)
		return fail(ret_reason, "\"%.64s\" is neither c nor b",
			    words[3]);
	attr->mode |= *words[3] == 'c' ? S_IFCHR : S_IFBLK;
	r = parse_number(words[4], "major", (1u << 12) - 1, &attr->major,
			 ret_reason);
	return r < 0 ? r
		     : parse_number(words[5], "minor", (1u << 20) - 1,
				    &attr->minor, ret_reason);
}

static int find_kind(char *const *words, size_t count,
		     const struct kind **ret_kind, char **ret_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];

		if (strcmp(words[0], kind->name) != 0)
			continue;
		*ret_kind = kind;
		return count == kind->words
			       ? 0
			       : fail(ret_reason, "too %s words: %s",
				      count < kind->words ? "few" : "many",
				      kind->form);
	}
	if (strcmp(words[0], "file") == 0)
		return fail(ret_reason,
			    "a file is not listed: "
			    "put it, or a link to it, into the directory");
	return fail(ret_reason,
		    "\"%.64s\" is none of dir, nod, slink, pipe and sock",
		    words[0]);
}

/*
 * Parses a line, which it changes: 1, 0 for an empty one, or a negative errno,
 * with the reason for -EINVAL. In any case device_release frees the device.
 */
static int parse_line(struct device *device, char *text, char **ret_reason)
{
	static const char blanks[] = " \t\r\v\f";
	char *words[WORDS_MAX];
	const struct kind *kind = NULL;
	size_t count = 0;
	int r;

	*device = (struct device){ 0 };
	for (; count < WORDS_MAX; count++) {
		text += strspn(text, blanks);
		if (*text == '\0' || *text == '#')
			break;
		words[count] = text;
		text += strcspn(text, blanks);
		if (*text != '\0')
			*text++ = '\0';
	}
	if (count == 0)
		return 0;
	r = find_kind(words, count, &kind, ret_reason);
	if (r < 0)
		return r;
	/* Checked before it is used: each directory in it becomes an entry. */
	if (strlen(words[1]) > DEVICES_PATH_MAX)
		return fail(ret_reason, "NAME of %zu bytes: %u at most",
			    strlen(words[1]), DEVICES_PATH_MAX);
	r = parse_name(words[1], device, ret_reason);
	if (r == 0)
		r = parse_attr(words + kind->mode, kind->type, &device->attr,
			       ret_reason);
	if (r < 0)
		return r;
	if (device->path_len == 0 && kind->type != S_IFDIR)
		return fail(ret_reason, "the root is a directory");
	if (kind->type != S_IFLNK)
		return 1;
	if (strlen(words[2]) > DEVICES_PATH_MAX)
		return fail(ret_reason, "TARGET of %zu bytes: %u at most",
			    strlen(words[2]), DEVICES_PATH_MAX);
	device->target = strdup(words[2]);
	return device->target ? 1 : -ENOMEM;
}

/* ---- all lines ---- */

struct reading {
	struct devices *devices;
	struct diag *diag;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t line;
	struct {
		char *items;
		size_t count, size;
	} text; /* bytes that were read and not yet parsed */
};

static int add_line(struct reading *in, char *text)
{
	_cleanup_free_ char *reason = NULL;
	struct device device;
	int r = parse_line(&device, text, &reason);

	if (r > 0 && in->devices->count >= DEVICES_ENTRIES_MAX) {
		device_release(&device);
		return too_many(in->devices, in->line, in->diag);
	}
	if (r > 0) {
		struct device *new = vec_push(in->devices);

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

/* Adds all whole lines of the text; the end of the file also ends a line. */
static int add_lines(struct reading *in, bool at_end)
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
		r = add_line(in, at);
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

static int read_lines(struct reading *in, const struct tree *tree, tree_id file,
		      uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)min_u64(size - at, CHUNK);
		const char *nul;
		char *text;
		int r;

		/* One more: the last line is terminated too. */
		if (vec_reserve(&in->text, n + 1) < 0)
			return -ENOMEM;
		text = in->text.items + in->text.count;
		r = tree_read(tree, file, text, n, at, in->diag);
		if (r < 0)
			return r;
		nul = memchr(text, '\0', n);
		if (nul) {
			uint64_t line = in->line + 1;

			for (const char *c = in->text.items; c < nul; c++)
				line += *c == '\n';
			return devices_fail(in->devices, line, -EINVAL,
					    in->diag,
					    "a NUL byte: this is no text");
		}
		in->text.count += n;
		at += n;
		r = add_lines(in, at == size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- order and parents ---- */

static int compare_devices(const void *a, const void *b)
{
	const struct device *x = a;
	const struct device *y = b;
	int c = devices_compare_paths(x->path, x->path_len, y->path,
				      y->path_len);

	return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* Leaves the last of several lines for one name. */
static void drop_earlier(struct devices *devices)
{
	size_t n = 0;

	for (size_t i = 0; i < devices->count; i++) {
		struct device *at = &devices->items[i];
		struct device *last = n ? &devices->items[n - 1] : NULL;

		if (last && last->path_len == at->path_len &&
		    memcmp(last->path, at->path, at->path_len) == 0) {
			device_release(last);
			*last = *at;
		} else {
			devices->items[n++] = *at;
		}
	}
	devices->count = n;
}

/*
 * Adds child to `all`, after those of its parent directories that the previous
 * entry (`before`) did not add already: so `all` stays sorted.
 */
static int add_with_parents(struct devices *all, const struct device *before,
			    struct device *child)
{
	size_t common = 0;
	struct device *new;

	while (before && common < before->path_len &&
	       common < child->path_len &&
	       before->path[common] == child->path[common])
		common++;
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

static int add_parents(struct devices *devices, struct diag *diag)
{
	struct devices all = { 0 };
	int r = 0;

	if (vec_reserve(&all, devices->count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < devices->count && r == 0; i++) {
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

/* Sorts the entries, and adds and checks the parents of each. */
static int complete(struct devices *devices, struct diag *diag)
{
	int r;

	if (devices->count > 0)
		qsort(devices->items, devices->count, sizeof(*devices->items),
		      compare_devices);
	drop_earlier(devices);
	r = add_parents(devices, diag);
	for (size_t i = 1; i < devices->count && r == 0; i++) {
		const struct device *dir = &devices->items[i - 1];
		const struct device *at = &devices->items[i];

		/* Everything is in the root, whose path is empty. */
		if (S_ISDIR(dir->attr.mode) ||
		    (dir->path_len != 0 &&
		     (at->path_len <= dir->path_len ||
		      at->path[dir->path_len] != '/' ||
		      memcmp(at->path, dir->path, dir->path_len) != 0)))
			continue;
		r = devices_fail(devices, at->line, -EINVAL, diag,
				 "\"%.*s\" is no directory: see line %llu",
				 (int)dir->path_len, dir->path,
				 (unsigned long long)dir->line);
		r = diag_report(diag, r);
	}
	return r;
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
