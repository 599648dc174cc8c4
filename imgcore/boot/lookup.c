/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/lookup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "imgcore/diag.h"

static bool has_type(const struct tree *tree, tree_id id, uint32_t type)
{
	struct tree_info info;

	if (id == TREE_NONE)
		return false;
	tree_get(tree, id, &info);
	return (info.attr.mode & S_IFMT) == type;
}

bool lookup_is_dir(const struct tree *tree, tree_id id)
{
	return has_type(tree, id, S_IFDIR);
}

bool lookup_is_file(const struct tree *tree, tree_id id)
{
	return has_type(tree, id, S_IFREG);
}

/* Links and names that may still be followed. */
struct budget {
	unsigned links;
	unsigned names;
};

/* Recursion ends with the links that are left. */
static tree_id follow(const struct tree *tree, tree_id dir, const char *path,
		      size_t len, struct budget *left)
{
	const char *end = path + len;
	tree_id at = len && *path == '/' ? TREE_ROOT : dir;

	while (path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);
		tree_id parent = at;
		struct tree_info info;

		if (!lookup_is_dir(tree, at) || left->names-- == 0)
			return TREE_NONE;
		tree_get(tree, at, &info);
		if (n == 2 && memcmp(path, "..", 2) == 0)
			at = info.parent;
		else if (n > 0 && !(n == 1 && *path == '.'))
			at = tree_child(tree, parent, path, n);
		if (at == TREE_NONE)
			return TREE_NONE;
		tree_get(tree, at, &info);
		if (S_ISLNK(info.attr.mode)) {
			if (left->links-- == 0)
				return TREE_NONE;
			at = follow(tree, parent, info.target,
				    (size_t)info.size, left);
			if (at == TREE_NONE)
				return TREE_NONE;
		}
		/* A '/' at the end asks for a directory. */
		if (slash && !lookup_is_dir(tree, at))
			return TREE_NONE;
		path += n + (slash != NULL);
	}
	return at;
}

tree_id lookup(const struct tree *tree, tree_id dir, const char *path,
	       size_t len, unsigned links_max)
{
	struct budget budget = { links_max, LOOKUP_NAMES };

	return follow(tree, dir, path, len, &budget);
}

bool lookup_file(const struct tree *tree, const char *path,
		 struct lookup_file *ret)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	ret->dir = lookup(tree, TREE_ROOT, path, (size_t)(name - path),
			  LOOKUP_LINKS_GRUB);
	ret->file = lookup(tree, TREE_ROOT, path, strlen(path),
			   LOOKUP_LINKS_GRUB);
	if (ret->dir == TREE_NONE || !lookup_is_file(tree, ret->file))
		return false;
	ret->name = tree_child(tree, ret->dir, name, strlen(name));
	return ret->name != TREE_NONE;
}

int lookup_text(const struct tree *tree, tree_id file, char **ret_text,
		char **ret_reason, struct diag *diag)
{
	struct diag ignored = DIAG_INIT;
	_cleanup_free_ char *text = NULL;
	struct tree_info info;
	int r = 0;

	*ret_text = *ret_reason = NULL;
	tree_get(tree, file, &info);
	if (info.size > LOOKUP_TEXT_MAX)
		return text_format(ret_reason, "has %llu bytes: %u at most",
				   (unsigned long long)info.size,
				   LOOKUP_TEXT_MAX);
	text = calloc(1, (size_t)info.size + 1);
	if (!text)
		return -ENOMEM;
	if (info.size)
		r = tree_read(tree, file, text, (size_t)info.size, 0, &ignored);
	if (r == -ESTALE)
		diag_set(diag, r, ignored.path, "%s",
			 ignored.reason ? ignored.reason : strerror(-r));
	diag_clear(&ignored);
	if (r == -ESTALE || r == -ENOMEM)
		return r;
	if (r < 0)
		return text_format(ret_reason, "cannot be read");
	if (strlen(text) != info.size)
		return text_format(ret_reason,
				   "is no text: it has a zero byte");
	*ret_text = take_ptr(text);
	return 0;
}
