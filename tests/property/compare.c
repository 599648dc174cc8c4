/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK	    UINT64_C(4096)
#define MAX_SHOWN   40
#define RESERVED    16384 /* bytes of lost+found */
#define MAX_LINKS   65000
#define LAST_SECOND ((INT64_C(3) << 32) + INT32_MIN - 1)

struct compare {
	const struct tree *tree;
	bool holes;
	unsigned wrong;
	ino_t *inodes; /* of each node, once it was seen */
};

/* The node at hand. */
struct seen {
	tree_id id;
	struct tree_info info;
	struct stat st;
};

__attribute__((format(printf, 3, 4))) static void complain(struct compare *c,
							   tree_id id,
							   const char *format,
							   ...)
{
	char *path = NULL;
	va_list args;

	if (c->wrong++ >= MAX_SHOWN)
		return;
	(void)tree_path(c->tree, id, &path);
	fprintf(stderr, "/%s: ", path ? path : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	free(path);
}

static void expect(struct compare *c, tree_id id, const char *what,
		   uint64_t want, uint64_t have)
{
	if (want != have)
		complain(c, id, "%s is %llu, should be %llu", what,
			 (unsigned long long)have, (unsigned long long)want);
}

/* ---- attributes ---- */

static uint64_t links_of(const struct tree_info *info)
{
	if (!S_ISDIR(info->attr.mode))
		return info->nlink;
	return info->n_subdirs + 2u > MAX_LINKS ? 1 : info->n_subdirs + 2u;
}

static void expect_time(struct compare *c, const struct seen *s,
			const char *what, const struct timespec *have)
{
	const struct tree_attr *attr = &s->info.attr;

	expect(c, s->id, what, (uint64_t)attr->mtime, (uint64_t)have->tv_sec);
	expect(c, s->id, what, attr->mtime_ns, (uint64_t)have->tv_nsec);
}

static void compare_attr(struct compare *c, const struct seen *s)
{
	const struct tree_attr *attr = &s->info.attr;
	const struct stat *st = &s->st;

	expect(c, s->id, "mode", attr->mode, st->st_mode);
	expect(c, s->id, "uid", attr->uid, st->st_uid);
	expect(c, s->id, "gid", attr->gid, st->st_gid);
	expect(c, s->id, "link count", links_of(&s->info), st->st_nlink);
	expect_time(c, s, "mtime", &st->st_mtim);
	expect_time(c, s, "atime", &st->st_atim);
	expect_time(c, s, "ctime", &st->st_ctim);
	if (s->info.reserved)
		expect(c, s->id, "size", RESERVED, (uint64_t)st->st_size);
	else if (!S_ISDIR(attr->mode))
		expect(c, s->id, "size", s->info.size, (uint64_t)st->st_size);
	if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode))
		expect(c, s->id, "device", makedev(attr->major, attr->minor),
		       st->st_rdev);
}

static int by_number(const void *a, const void *b)
{
	ino_t x = *(const ino_t *)a;
	ino_t y = *(const ino_t *)b;

	return (x > y) - (x < y);
}

/* One inode for all names of a file, and no other file's. */
static void compare_inodes(struct compare *c)
{
	uint32_t count = tree_count(c->tree);
	uint32_t want = 0;
	uint32_t have = 0;

	for (tree_id id = 0; id < count; id++) {
		struct tree_info info;

		tree_get(c->tree, id, &info);
		want += info.inode == id;
		expect(c, id, "inode number", c->inodes[info.inode],
		       c->inodes[id]);
	}
	qsort(c->inodes, count, sizeof(*c->inodes), by_number);
	for (uint32_t i = 0; i < count; i++)
		have += i == 0 || c->inodes[i] != c->inodes[i - 1];
	expect(c, TREE_ROOT, "number of inodes", want, have);
}

/* ---- extended attributes ---- */

/* By its name from the directory, which may be that of no regular file. */
static void compare_xattr(struct compare *c, const struct seen *s,
			  const char *path, const struct tree_xattr *x)
{
	static const char *const spaces[] = {
		[1] = "user.", [4] = "trusted.", [6] = "security."
	};
	char name[300];
	char value[8192];
	ssize_t len;

	/* ACLs look otherwise here; others compare them. */
	if (x->index > 6 || !spaces[x->index])
		return;
	/* Linux lists user's of other types, and gives none. */
	if (x->index == 1 && !S_ISREG(s->st.st_mode) && !S_ISDIR(s->st.st_mode))
		return;
	snprintf(name, sizeof(name), "%s%.*s", spaces[x->index],
		 (int)x->name_len, x->name);
	len = lgetxattr(path, name, value, sizeof(value));
	if (len != (ssize_t)x->value_len ||
	    memcmp(value, x->value, x->value_len) != 0)
		complain(c, s->id, "%s: %zd bytes, or others, of %u", name, len,
			 x->value_len);
}

static void compare_xattrs(struct compare *c, const struct seen *s, int dir,
			   const char *name)
{
	struct tree_xattr x;
	char path[320];
	char list[8192];
	size_t at = 0;
	uint64_t want = 0;
	uint64_t have = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	while (s->info.xattrs &&
	       tree_next_xattr(c->tree, s->info.xattrs, &at, &x)) {
		compare_xattr(c, s, path, &x);
		want += x.index != 2 && x.index != 3;
	}
	len = llistxattr(path, list, sizeof(list));
	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(list + i) + 1)
		have += strncmp(list + i, "system.", 7) != 0;
	expect(c, s->id, "number of xattrs", want, have);
}

/* ---- content ---- */

static void compare_range(struct compare *c, const struct seen *s, int fd,
			  uint64_t at, uint64_t end)
{
	static uint8_t want[1 << 18];
	static uint8_t have[1 << 18];
	struct content *content = tree_content(c->tree, s->info.inode);

	while (at < end) {
		size_t n = end - at < sizeof(want) ? end - at : sizeof(want);
		ssize_t got = pread(fd, have, n, (off_t)at);
		int r = content->pread(content, NULL, want, n, at);

		if (r < 0 || got != (ssize_t)n) {
			complain(c, s->id, "reads %zd of %zu bytes at %llu",
				 got, n, (unsigned long long)at);
			return;
		}
		if (memcmp(want, have, n) != 0) {
			complain(c, s->id, "other bytes within %zu at %llu", n,
				 (unsigned long long)at);
			return;
		}
		at += n;
	}
}

/* A hole up to a megabyte is read, a longer one at its ends. */
static void compare_hole(struct compare *c, const struct seen *s, int fd,
			 uint64_t at, uint64_t end)
{
	static const uint8_t zeroes[1 << 16];
	static uint8_t have[1 << 16];

	while (at < end) {
		size_t n = end - at < sizeof(have) ? end - at : sizeof(have);

		if (pread(fd, have, n, (off_t)at) != (ssize_t)n ||
		    memcmp(have, zeroes, n) != 0) {
			complain(c, s->id, "no zeroes within %zu at %llu", n,
				 (unsigned long long)at);
			return;
		}
		at += n;
		if (end - at > 1 << 20)
			at = end - sizeof(have);
	}
}

static void compare_bytes(struct compare *c, const struct seen *s, int fd)
{
	uint64_t at = 0;

	if (!s->info.sparse) {
		compare_range(c, s, fd, 0, s->info.size);
		return;
	}
	for (size_t i = 0; i < s->info.n_extents; i++) {
		const struct tree_extent *x = &s->info.extents[i];
		/* The rest of a block is the file's own bytes as well. */
		uint64_t start = x->start - x->start % BLOCK;
		uint64_t end = (x->end + BLOCK - 1) / BLOCK * BLOCK;

		if (end > s->info.size)
			end = s->info.size;
		if (start > at)
			compare_hole(c, s, fd, at, start);
		if (end > at)
			compare_range(c, s, fd, start > at ? start : at, end);
		at = end > at ? end : at;
	}
	compare_hole(c, s, fd, at, s->info.size);
}

/* The next run of whole blocks of data at or behind *at; false: none. */
static bool next_run(const struct tree_info *info, uint64_t *at, uint64_t *end)
{
	uint64_t start = UINT64_MAX;

	if (!info->sparse) {
		start = *at;
		*end = info->size;
	}
	for (size_t i = 0; info->sparse && i < info->n_extents; i++) {
		const struct tree_extent *x = &info->extents[i];
		uint64_t first = x->start - x->start % BLOCK;
		uint64_t last = (x->end + BLOCK - 1) / BLOCK * BLOCK;

		if (start == UINT64_MAX && first >= *at)
			start = first;
		else if (start == UINT64_MAX || first > *end)
			continue;
		*end = last < info->size ? last : info->size;
	}
	*at = start;
	return start < info->size;
}

static void compare_holes(struct compare *c, const struct seen *s, int fd)
{
	uint64_t last = 0;
	uint64_t at = 0;
	uint64_t end = 0;

	while (next_run(&s->info, &at, &end)) {
		expect(c, s->id, "data", at,
		       (uint64_t)lseek(fd, (off_t)last, SEEK_DATA));
		expect(c, s->id, "hole", end,
		       (uint64_t)lseek(fd, (off_t)at, SEEK_HOLE));
		at = last = end;
	}
	if (lseek(fd, (off_t)last, SEEK_DATA) >= 0 || errno != ENXIO)
		complain(c, s->id, "data where there is none");
}

static void compare_file(struct compare *c, const struct seen *s, int dir,
			 const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		complain(c, s->id, "%s", strerror(errno));
		return;
	}
	compare_bytes(c, s, fd);
	if (c->holes)
		compare_holes(c, s, fd);
	close(fd);
}

static void compare_target(struct compare *c, const struct seen *s, int dir,
			   const char *name)
{
	char target[8192];
	ssize_t len = readlinkat(dir, name, target, sizeof(target));

	if (len != (ssize_t)s->info.size ||
	    memcmp(target, s->info.target, (size_t)len) != 0)
		complain(c, s->id, "another target, of %zd bytes", len);
}

/* ---- the tree ---- */

static void compare_dir(struct compare *c, const struct seen *dir, int fd);

static void compare_subdir(struct compare *c, const struct seen *s, int parent,
			   const char *name)
{
	int fd = openat(parent, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		complain(c, s->id, "%s", strerror(errno));
	else
		compare_dir(c, s, fd);
}

static void compare_child(struct compare *c, tree_id id, int dir)
{
	struct seen s = { .id = id };
	char name[256];

	tree_get(c->tree, id, &s.info);
	memcpy(name, s.info.name, s.info.name_len);
	name[s.info.name_len] = '\0';
	if (fstatat(dir, name, &s.st, AT_SYMLINK_NOFOLLOW) < 0) {
		complain(c, id, "%s", strerror(errno));
		return;
	}
	compare_attr(c, &s);
	compare_xattrs(c, &s, dir, name);
	c->inodes[id] = s.st.st_ino;
	if (S_ISDIR(s.st.st_mode))
		compare_subdir(c, &s, dir, name);
	else if (S_ISREG(s.st.st_mode))
		compare_file(c, &s, dir, name);
	else if (S_ISLNK(s.st.st_mode))
		compare_target(c, &s, dir, name);
}

/* Each name of the listing is one of the tree's; as many as the tree has. */
static void compare_listing(struct compare *c, const struct seen *dir,
			    DIR *list)
{
	const struct dirent *d;
	uint32_t count = 0;

	while ((d = readdir(list))) {
		size_t len = strlen(d->d_name);

		count++;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (tree_child(c->tree, dir->id, d->d_name, len) == TREE_NONE)
			complain(c, dir->id, "%s is too many", d->d_name);
	}
	expect(c, dir->id, "number of names", dir->info.n_children + 2, count);
}

/* Takes fd; one descriptor a level is open. */
static void compare_dir(struct compare *c, const struct seen *dir, int fd)
{
	DIR *list = fdopendir(fd);

	if (!list) {
		complain(c, dir->id, "%s", strerror(errno));
		close(fd);
		return;
	}
	compare_listing(c, dir, list);
	for (uint32_t i = 0; i < dir->info.n_children; i++)
		compare_child(c, dir->info.first_child + i, fd);
	closedir(list);
}

unsigned compare_tree(const struct tree *tree, const char *path, bool holes)
{
	struct compare c = { .tree = tree, .holes = holes };
	struct seen root = { .id = TREE_ROOT };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	c.inodes = calloc(tree_count(tree), sizeof(*c.inodes));
	if (fd < 0 || !c.inodes || fstat(fd, &root.st) < 0) {
		perror(path);
		abort();
	}
	tree_get(tree, TREE_ROOT, &root.info);
	compare_attr(&c, &root);
	c.inodes[TREE_ROOT] = root.st.st_ino;
	compare_dir(&c, &root, fd);
	compare_inodes(&c);
	free(c.inodes);
	return c.wrong;
}
