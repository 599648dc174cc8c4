/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boots.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/vec.h"
#include "imgcore/boot.h"
#include "imgcore/paths.h"
#include "menu.h"

/* Of a menu. */
#define MENU_LIMIT (64u << 20)

/* A file of SRC that takes part in a boot. */
struct part {
	char *path; /* below SRC */
	uint64_t hash; /* of what it is now; 0: is not there */
	bool kernel;
	bool whole; /* a kernel, all of it */
};

struct boots {
	const char *src; /* the caller's */
	char *menu; /* without what each tree has of its own */
	struct part *items;
	size_t count, size;
};

void boots_free(struct boots *boots)
{
	if (!boots)
		return;
	for (size_t i = 0; i < boots->count; i++)
		free(boots->items[i].path);
	vec_free(boots);
	free(boots->menu);
	free(boots);
}

/* ---- files ---- */

static void add_hash(uint64_t *hash, const void *bytes, size_t len)
{
	*hash = XXH3_64bits_withSeed(bytes, len, *hash);
}

static void add_stat(uint64_t *hash, const struct stat *st)
{
	const uint64_t fields[] = {
		st->st_dev,
		st->st_ino,
		st->st_mode,
		S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec,
	};

	add_hash(hash, fields, sizeof(fields));
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* A directory that is shown as one file is all that is in it. */
static void add_dir(uint64_t *hash, const char *path)
{
	char *const paths[] = { (char *)path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *entry;

	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info == FTS_DP)
			continue;
		add_hash(hash, entry->fts_path, entry->fts_pathlen);
		if (entry->fts_info != FTS_NS)
			add_stat(hash, entry->fts_statp);
	}
	if (fts)
		fts_close(fts);
}

static uint64_t hash_file(const char *path)
{
	uint64_t hash = 0;
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	add_stat(&hash, &st);
	if (S_ISDIR(st.st_mode))
		add_dir(&hash, path);
	return hash ? hash : 1;
}

/* To open a device would be to use it. */
static int open_regular(const char *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	char same[64];
	struct stat st;
	int readable;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(same, sizeof(same), "/proc/self/fd/%d", fd);
	readable = open(same, O_RDONLY | O_CLOEXEC);
	return readable < 0 ? -errno : readable;
}

static bool is_whole_kernel(const char *path)
{
	_cleanup_close_ int fd = open_regular(path);
	uint8_t header[BOOT_KERNEL_HEADER];
	_cleanup_free_ char *reason = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	n = io_pread(fd, header, sizeof(header), 0);
	return n >= 0 &&
	       boot_targets[BOOT_I386_PC].check_kernel(
		       header, (size_t)n, (uint64_t)st.st_size, &reason) == 0 &&
	       !reason;
}

static char *host_path(const struct boots *boots, const char *path)
{
	char *host;

	return asprintf(&host, "%s/%s", path_prefix(boots->src), path) < 0
		       ? NULL
		       : host;
}

static struct part *find_part(const struct boots *boots, const char *path)
{
	for (size_t i = 0; i < boots->count; i++) {
		if (strcmp(boots->items[i].path, path) == 0)
			return &boots->items[i];
	}
	return NULL;
}

static int add_part(struct boots *boots, const char *path, bool kernel)
{
	_cleanup_free_ char *host = host_path(boots, path);
	struct part *part;

	if (find_part(boots, path))
		return 0;
	part = host ? vec_push(boots) : NULL;
	if (!part)
		return -ENOMEM;
	part->path = strdup(path);
	if (!part->path)
		return -ENOMEM;
	part->hash = hash_file(host);
	part->kernel = kernel;
	part->whole = kernel && is_whole_kernel(host);
	return 0;
}

/* ---- the menu ---- */

/* Files of info/ have no size. */
static int read_text(const char *path, char **ret_text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	uint8_t *bytes;
	size_t len;
	char *text;
	int r = fd < 0 ? -errno : io_read_file(fd, MENU_LIMIT, &bytes, &len);

	if (r < 0)
		return r;
	text = realloc(bytes, len + 1);
	if (!text) {
		free(bytes);
		return -ENOMEM;
	}
	text[len] = '\0';
	*ret_text = text;
	return 0;
}

/* A disk's signature is another with each tree: no reason to boot again. */
static void hide_signatures(char *text)
{
	static const char before[] = "PARTUUID=";

	while ((text = strstr(text, before))) {
		text += strlen(before);
		memset(text, '0', strspn(text, "0123456789abcdefABCDEF"));
	}
}

static int read_menu(struct boots *boots, const char *place)
{
	static const char own[] = PATH_MENU;
	static const char custom[] = PATH_CUSTOM;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *own_path = host_path(boots, own);
	int r;

	if (asprintf(&path, "%s/info/menu", place) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!own_path)
		return -ENOMEM;
	r = add_part(boots, own, false);
	if (r == 0)
		r = add_part(boots, custom, false);
	if (r == 0)
		r = read_text(boots->items[0].hash ? own_path : path,
			      &boots->menu);
	if (r == 0)
		hide_signatures(boots->menu);
	return r;
}

static int take_file(void *context, const char *path, bool kernel)
{
	return add_part(context, path, kernel);
}

int boots_read(struct boots **ret_boots, const char *src, const char *place)
{
	_cleanup_boots_ struct boots *boots = calloc(1, sizeof(*boots));
	int r;

	if (!boots)
		return -ENOMEM;
	boots->src = src;
	r = read_menu(boots, place);
	if (r == 0)
		r = menu_read(boots->menu, take_file, boots);
	if (r == 0)
		*ret_boots = take_ptr(boots);
	return r;
}

/* ---- two of them ---- */

/* How a file differs; NULL: not at all. */
static const char *change_of(const struct part *old, const struct part *now)
{
	uint64_t before = old ? old->hash : 0;
	uint64_t after = now ? now->hash : 0;

	if (before == after)
		return NULL;
	return !before ? "is new" : !after ? "is gone" : "has changed";
}

static int describe(const char *path, const char *change, char **ret_text)
{
	return asprintf(ret_text, "%s %s", path, change) < 0 ? -ENOMEM : 0;
}

int boots_difference(const struct boots *old, const struct boots *now,
		     char **ret_text)
{
	const char *change;

	*ret_text = NULL;
	for (size_t i = 0; i < now->count; i++) {
		const struct part *part = &now->items[i];

		change = change_of(find_part(old, part->path), part);
		if (change)
			return describe(part->path, change, ret_text);
	}
	for (size_t i = 0; i < old->count; i++) {
		const struct part *part = &old->items[i];

		change = change_of(part, find_part(now, part->path));
		if (change)
			return describe(part->path, "is gone", ret_text);
	}
	if (strcmp(old->menu, now->menu) != 0)
		return describe("the menu", "has changed", ret_text);
	return 0;
}

/* A kernel that the menu had, and that is being written now. */
static bool is_half(const struct boots *now, const struct part *old)
{
	_cleanup_free_ char *host = host_path(now, old->path);

	return old->kernel && !find_part(now, old->path) && host &&
	       hash_file(host) && !is_whole_kernel(host);
}

bool boots_ready(const struct boots *old, const struct boots *now)
{
	size_t kernels = 0;

	for (size_t i = 0; i < now->count; i++) {
		if (now->items[i].kernel && !now->items[i].whole)
			return false;
		kernels += now->items[i].kernel;
	}
	for (size_t i = 0; i < old->count; i++) {
		if (is_half(now, &old->items[i]))
			return false;
	}
	return kernels > 0;
}
