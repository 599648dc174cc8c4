/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/vec.h"

#define TEXT_LIMIT (64u << 20)

/* A line of the text; the strings are the text's. */
struct boot_file {
	const char *path;
	const char *identity; /* of its content */
	bool kernel;
	bool in_menu;
};

struct boot_set {
	char *text;
	const char *menu; /* in the text */
	size_t kernels; /* in the menu */
	struct boot_file *items; /* in the text's order */
	size_t count, size;
	struct boot_file **by_path;
};

void boot_set_free(struct boot_set *set)
{
	if (!set)
		return;
	vec_free(set);
	free(set->by_path);
	free(set->text);
	free(set);
}

static int compare(const void *a, const void *b)
{
	const struct boot_file *const *x = a;
	const struct boot_file *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

/* The file of that path, or NULL. */
static const struct boot_file *find(const struct boot_set *set,
				    const char *path)
{
	const struct boot_file file = { .path = path };
	const struct boot_file *key = &file;
	struct boot_file **found = bsearch(&key, set->by_path, set->count,
					   sizeof(*set->by_path), compare);

	return found ? *found : NULL;
}

/* ENTRY, KIND, IDENTITY, PATH with a tab between them. */
static int parse_line(struct boot_set *set, char *line)
{
	const char *entry = strsep(&line, "\t");
	const char *kind = strsep(&line, "\t");
	char *identity = strsep(&line, "\t");
	struct boot_file *file;
	char *change_time;

	if (!line)
		return -EIO;
	/* A change of attributes alone is no reason to boot again. */
	change_time = strrchr(identity, ':');
	if (change_time)
		*change_time = '\0';
	file = vec_push(set);
	if (!file)
		return -ENOMEM;
	*file = (struct boot_file){
		.path = line,
		.identity = identity,
		.kernel = strcmp(kind, "kernel") == 0,
		.in_menu = strcmp(entry, "none") != 0,
	};
	set->kernels += file->kernel && file->in_menu;
	return 0;
}

int boot_set_read(struct boot_set **ret_set, const char *mount_dir)
{
	_cleanup_boot_set_ struct boot_set *set = calloc(1, sizeof(*set));
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	uint8_t *bytes;
	char *rest;
	size_t len;
	int r;

	if (!set || text_format(&path, "%s/info/boot", mount_dir) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : io_read_file(fd, TEXT_LIMIT, &bytes, &len);
	if (r < 0)
		return r;
	set->text = realloc(bytes, len + 1);
	if (!set->text) {
		free(bytes);
		return -ENOMEM;
	}
	set->text[len] = '\0';
	for (rest = set->text; r == 0 && rest && *rest != '\n';)
		r = parse_line(set, strsep(&rest, "\n"));
	if (r < 0)
		return r;
	set->menu = rest ? rest : "";
	set->by_path = calloc(set->count + 1, sizeof(*set->by_path));
	if (!set->by_path)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++)
		set->by_path[i] = &set->items[i];
	qsort(set->by_path, set->count, sizeof(*set->by_path), compare);
	*ret_set = take_ptr(set);
	return 0;
}

int boot_set_difference(const struct boot_set *old, const struct boot_set *now,
			char **ret_text)
{
	*ret_text = NULL;
	for (size_t i = 0; i < now->count; i++) {
		const struct boot_file *file = &now->items[i];
		const struct boot_file *was = find(old, file->path);

		if (!file->in_menu)
			continue;
		if (!was || !was->in_menu)
			return text_format(ret_text, "%s is new", file->path);
		if (strcmp(was->identity, file->identity) != 0)
			return text_format(ret_text, "%s has changed",
					   file->path);
	}
	for (size_t i = 0; i < old->count; i++) {
		const struct boot_file *was = &old->items[i];
		const struct boot_file *file = find(now, was->path);

		if (was->in_menu && (!file || !file->in_menu))
			return text_format(ret_text, "%s is gone", was->path);
	}
	if (strcmp(old->menu, now->menu) != 0)
		return text_format(ret_text, "the menu has changed");
	return 0;
}

bool boot_set_ready(const struct boot_set *old, const struct boot_set *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct boot_file *file = &now->items[i];
		const struct boot_file *was = find(old, file->path);

		if (file->kernel && !file->in_menu && was && was->in_menu)
			return false;
	}
	return now->kernels > 0;
}
