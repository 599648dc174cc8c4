/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "imgcore/diag.h"

/* Describes what happened to an entry. */
static const char *describe(uint32_t mask)
{
	bool here = mask & (IN_CREATE | IN_MOVED_TO);
	bool gone = mask & (IN_DELETE | IN_MOVED_FROM);

	if (here && gone)
		return "replaced";
	if (here)
		return mask & IN_CREATE ? "created" : "moved here";
	if (gone)
		return mask & IN_DELETE ? "removed" : "moved away";
	if (mask & (IN_MODIFY | IN_CLOSE_WRITE))
		return "written";
	return mask & IN_ATTRIB ? "attributes" : "changed";
}

/* Finds an entry in one of the trees; leaves *ret_path if it is in none. */
static int find_path(const struct watch_name *name,
		     const struct tree *const trees[IMAGE_PARTS],
		     char **ret_path)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		_cleanup_free_ char *dir = NULL;
		const tree_id *dirs;
		size_t n = 0;
		size_t k = 0;
		int r;

		dirs = trees[i] ? tree_list(trees[i], TREE_LIST_DIRS, &n)
				: NULL;
		while (k < n && tree_watch(trees[i], dirs[k]) != name->watch)
			k++;
		if (k == n)
			continue;
		r = tree_path(trees[i], dirs[k], &dir);
		if (r < 0)
			return r;
		if (!*name->name && !*dir)
			*ret_path = strdup(".");
		else if (asprintf(ret_path, "%s%s%s", dir,
				  *name->name && *dir ? "/" : "",
				  name->name) < 0)
			*ret_path = NULL;
		return *ret_path ? 0 : -ENOMEM;
	}
	return 0;
}

static int print_reason(FILE *f, const struct watch_changes *changes,
			const struct tree *const now[IMAGE_PARTS],
			const struct tree *const old[IMAGE_PARTS])
{
	if (!old[0])
		fputs("the first\n", f);
	for (size_t i = 0; i < changes->names.count; i++) {
		const struct watch_name *name = &changes->names.items[i];
		struct diag diag = { .reason = (char *)describe(name->mask) };
		_cleanup_free_ char *path = NULL;
		_cleanup_free_ char *line = NULL;
		int r = find_path(name, now, &path);

		if (r == 0 && !path)
			r = find_path(name, old, &path);
		if (r < 0)
			return r;
		if (!path)
			continue;
		diag.path = path;
		line = diag_format(&diag, 0);
		if (!line)
			return -ENOMEM;
		fprintf(f, "%s\n", line);
	}
	if (changes->known.count > changes->names.count)
		fprintf(f, "and %zu more\n",
			changes->known.count - changes->names.count);
	if (changes->all)
		fputs("all was read again, for some changes were not told of\n",
		      f);
	return 0;
}

int reason_make(const struct watch_changes *changes,
		const struct tree *const now[IMAGE_PARTS],
		const struct tree *const old[IMAGE_PARTS], char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	int closed;
	int r;

	if (!f)
		return -ENOMEM;
	r = print_reason(f, changes, now, old);
	if (r == 0 && fflush(f) == 0 && stream.count == 0)
		fputs("the tree was read again, and was different\n", f);
	closed = memstream_close(&stream, &text, NULL);
	if (r == 0)
		r = closed;
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}

int reason_last(const struct watch_changes *changes,
		const struct tree *const trees[IMAGE_PARTS], char **ret_path)
{
	for (size_t i = changes->names.count; i-- > 0;) {
		int r = find_path(&changes->names.items[i], trees, ret_path);

		if (r < 0 || *ret_path)
			return r;
	}
	return 0;
}
