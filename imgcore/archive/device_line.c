/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "archive/device_line.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/math.h"

/* A kind, the most words of all, and one that is too many. */
#define WORDS_MAX 9

struct line {
	char *words[WORDS_MAX];
	size_t count;
	char **reason; /* why it is wrong */
};

struct kind {
	const char *name;
	uint32_t type;
	size_t words;
	size_t mode; /* which word is MODE; UID and GID follow */
	const char *form;
};

static const struct kind kinds[] = {
	{ "dir", S_IFDIR, 5, 2, "dir NAME MODE UID GID" },
	{ "nod", 0, 8, 2, "nod NAME MODE UID GID c|b MAJOR MINOR" },
	{ "slink", S_IFLNK, 6, 3, "slink NAME TARGET MODE UID GID" },
	{ "pipe", S_IFIFO, 5, 2, "pipe NAME MODE UID GID" },
	{ "sock", S_IFSOCK, 5, 2, "sock NAME MODE UID GID" },
};

#define fail(line, ...)                              \
	(asprintf((line)->reason, __VA_ARGS__) < 0   \
		 ? (*(line)->reason = NULL, -ENOMEM) \
		 : -EINVAL)

static void split(struct line *line, char *text)
{
	static const char blanks[] = " \t\r\v\f";

	while (line->count < WORDS_MAX) {
		text += strspn(text, blanks);
		if (*text == '\0' || *text == '#')
			return;
		line->words[line->count++] = text;
		text += strcspn(text, blanks);
		if (*text != '\0')
			*text++ = '\0';
	}
}

static int parse_number(const struct line *line, const char *word,
			const char *what, uint32_t most, uint32_t *ret)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(word, &end, 10);
	if (*word < '0' || *word > '9' || *end != '\0' || errno || n > most)
		return fail(line, "%s \"%.64s\" is no number up to %u", what,
			    word, most);
	*ret = (uint32_t)n;
	return 0;
}

static int parse_mode(const struct line *line, const char *word, uint32_t *mode)
{
	uint32_t n = 0;
	const char *c = word;

	while (*c >= '0' && *c <= '7' && n <= 07777)
		n = n * 8 + (uint32_t)(*c++ - '0');
	if (c == word || *c != '\0' || n > 07777)
		return fail(line,
			    "mode \"%.64s\" is no octal number up to 7777",
			    word);
	*mode |= n;
	return 0;
}

/* Leaves the names of a path, with one '/' between them. */
static int parse_path(const struct line *line, char *path, size_t *ret_len)
{
	const char *at = path;
	char *end = path;

	while (*at != '\0') {
		size_t len = strcspn(at, "/");

		if (len == 2 && memcmp(at, "..", 2) == 0)
			return fail(line, "a name cannot hold \"..\"");
		if (len > NAME_MAX)
			return fail(line, "a name of %zu bytes: %d at most",
				    len, NAME_MAX);
		if (len > 0 && !(len == 1 && *at == '.')) {
			if (end != path)
				*end++ = '/';
			memmove(end, at, len);
			end += len;
		}
		at += len + (at[len] == '/');
	}
	*end = '\0';
	*ret_len = (size_t)(end - path);
	return 0;
}

/* Checked before it is used: each directory in it becomes an entry. */
static int check_length(const struct line *line, const char *what,
			const char *word)
{
	size_t len = strlen(word);

	return len > DEVICES_PATH_MAX
		       ? fail(line, "%s of %zu bytes: %u at most", what, len,
			      DEVICES_PATH_MAX)
		       : 0;
}

static int parse_name(const struct line *line, struct device *device)
{
	int r = check_length(line, "NAME", line->words[1]);

	if (r < 0)
		return r;
	device->text = strdup(line->words[1]);
	if (!device->text)
		return -ENOMEM;
	device->path = device->text;
	return parse_path(line, device->text, &device->path_len);
}

static int parse_target(const struct line *line, struct device *device)
{
	int r = check_length(line, "TARGET", line->words[2]);

	if (r < 0)
		return r;
	device->target = strdup(line->words[2]);
	return device->target ? 0 : -ENOMEM;
}

/* c|b MAJOR MINOR */
static int parse_device(const struct line *line, struct tree_attr *attr)
{
	char *const *words = line->words + 5;
	int r;

	if (strcmp(words[0], "c") != 0 && strcmp(words[0], "b") != 0)
		return fail(line, "\"%.64s\" is neither c nor b", words[0]);
	attr->mode |= *words[0] == 'c' ? S_IFCHR : S_IFBLK;
	r = parse_number(line, words[1], "major", (1u << 12) - 1, &attr->major);
	if (r < 0)
		return r;
	return parse_number(line, words[2], "minor", (1u << 20) - 1,
			    &attr->minor);
}

static int find_kind(const struct line *line, const struct kind **ret_kind)
{
	const char *name = line->words[0];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];

		if (strcmp(name, kind->name) != 0)
			continue;
		if (line->count != kind->words)
			return fail(line, "too %s words: %s",
				    line->count < kind->words ? "few" : "many",
				    kind->form);
		*ret_kind = kind;
		return 0;
	}
	if (strcmp(name, "file") == 0)
		return fail(line,
			    "a file is not listed: "
			    "put it, or a link to it, into the directory");
	return fail(line, "\"%.64s\" is none of dir, nod, slink, pipe and sock",
		    name);
}

static int parse_attr(const struct line *line, const struct kind *kind,
		      struct tree_attr *attr)
{
	char *const *words = line->words + kind->mode;
	int r;

	attr->mode = kind->type;
	r = parse_mode(line, words[0], &attr->mode);
	if (r < 0)
		return r;
	/* The last one says "leave it" to chown. */
	r = parse_number(line, words[1], "uid", UINT32_MAX - 1, &attr->uid);
	if (r < 0)
		return r;
	r = parse_number(line, words[2], "gid", UINT32_MAX - 1, &attr->gid);
	if (r < 0)
		return r;
	return kind->type ? 0 : parse_device(line, attr);
}

int device_parse(struct device *ret_device, char *text, char **ret_reason)
{
	struct line line = { .reason = ret_reason };
	const struct kind *kind = NULL;
	int r;

	*ret_device = (struct device){ 0 };
	split(&line, text);
	if (line.count == 0)
		return 0;
	r = find_kind(&line, &kind);
	if (r < 0)
		return r;
	r = parse_name(&line, ret_device);
	if (r < 0)
		return r;
	r = parse_attr(&line, kind, &ret_device->attr);
	if (r < 0)
		return r;
	if (ret_device->path_len == 0 && kind->type != S_IFDIR)
		return fail(&line, "the root is a directory");
	if (kind->type == S_IFLNK)
		r = parse_target(&line, ret_device);
	return r < 0 ? r : 1;
}

void device_release(struct device *device)
{
	free(device->text);
	free(device->target);
	*device = (struct device){ 0 };
}
