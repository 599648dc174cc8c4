/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "imgcore/diag.h"
#include "live/generation.h"

/* What happened to an entry, in a word. */
static const char *verb(uint32_t mask)
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

/* The directory of a watch; false: none of the tree. */
static bool find_dir(const struct tree *tree, int32_t watch, tree_id *ret_dir)
{
	size_t n;
	const tree_id *dirs = tree_list(tree, TREE_LIST_DIRS, &n);

	for (size_t i = 0; i < n; i++) {
		if (tree_watch(tree, dirs[i]) != watch)
			continue;
		*ret_dir = dirs[i];
		return true;
	}
	return false;
}

/* Where an entry is in one of the trees; leaves *ret_path if in none. */
static int name_path(const struct watch_name *name,
		     const struct tree *const trees[IMAGE_PARTS],
		     char **ret_path)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		_cleanup_free_ char *dir = NULL;
		tree_id id;
		int r;

		if (!trees[i] || !find_dir(trees[i], name->watch, &id))
			continue;
		r = tree_path(trees[i], id, &dir);
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

static int put_name(FILE *f, const struct watch_name *name,
		    const struct tree *const now[IMAGE_PARTS],
		    const struct tree *const old[IMAGE_PARTS])
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *line = NULL;
	struct diag diag = { .reason = (char *)verb(name->mask) };
	int r = name_path(name, now, &path);

	if (r == 0 && !path)
		r = name_path(name, old, &path);
	if (r < 0 || !path)
		return r;
	diag.path = path;
	line = diag_format(&diag, 0);
	if (!line)
		return -ENOMEM;
	fprintf(f, "%s\n", line);
	return 0;
}

static int put_all(FILE *f, const struct watch_changes *changes,
		   const struct tree *const now[IMAGE_PARTS],
		   const struct tree *const old[IMAGE_PARTS])
{
	size_t more = changes->known.count > changes->names.count
			      ? changes->known.count - changes->names.count
			      : 0;

	if (!old[0])
		fputs("the first\n", f);
	for (size_t i = 0; i < changes->names.count; i++) {
		int r = put_name(f, &changes->names.items[i], now, old);

		if (r < 0)
			return r;
	}
	if (more > 0)
		fprintf(f, "and %zu more\n", more);
	if (changes->all)
		fputs("all was read again, for some changes were not told of\n",
		      f);
	return 0;
}

int cause_make(const struct watch_changes *changes,
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
	r = put_all(f, changes, now, old);
	if (r == 0 && fflush(f) == 0 && stream.count == 0)
		fputs("the tree was read again, and was different\n", f);
	closed = memstream_close(&stream, &text, NULL);
	if (r == 0)
		r = closed;
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}

int cause_last(const struct watch_changes *changes,
	       const struct tree *const trees[IMAGE_PARTS], char **ret_path)
{
	for (size_t i = changes->names.count; i-- > 0;) {
		int r = name_path(&changes->names.items[i], trees, ret_path);

		if (r < 0 || *ret_path)
			return r;
	}
	return 0;
}
