/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

/*
 * What several of these programs need: random numbers from a seed that is
 * printed, directories of the host that go with the test, small trees.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/seeds.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

DEFINE_CLEANUP(struct tree, tree_free)
DEFINE_CLEANUP(struct tree_builder, tree_builder_free)

#define _cleanup_tree_	  _cleanup_(tree_freep)
#define _cleanup_builder_ _cleanup_(tree_builder_freep)
#define _cleanup_diag_	  _cleanup_(diag_clear)

/* A call that must succeed; what it says if it does not. */
#define assert_ok(call)                                           \
	do {                                                      \
		int _r = (call);                                  \
		if (_r < 0)                                       \
			fail_msg("%s: %s", #call, strerror(-_r)); \
	} while (0)

/* The same for a call that sets errno. */
#define assert_sys(call)                                            \
	do {                                                        \
		if ((call) < 0)                                     \
			fail_msg("%s: %s", #call, strerror(errno)); \
	} while (0)

static inline void assert_contains(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text ? text : "", part);
}

/* Keeps the lines that a diagnostic's sink got. */
struct heard {
	char *lines[256];
	int errors[256];
	size_t n;
	struct diag_sink sink;
};

static inline void heard_report(void *context, const struct diag *diag, int err)
{
	struct heard *heard = context;

	assert_true(heard->n < ARRAY_SIZE(heard->lines));
	heard->errors[heard->n] = err;
	heard->lines[heard->n++] = diag_format(diag, err);
}

static inline struct diag heard_begin(struct heard *heard)
{
	*heard = (struct heard){ .sink = { heard_report, heard } };
	return (struct diag){ .sink = &heard->sink };
}

static inline void heard_clear(struct heard *heard)
{
	while (heard->n > 0)
		free(heard->lines[--heard->n]);
}

/* ---- random numbers ---- */

/* A seed for a whole program. */
static inline uint64_t random_begin(void)
{
	return seed_draw();
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return random_next(state) % n;
}

/* ---- directories of the host ---- */

struct temp {
	char path[64];
	int fd;
};

static inline int temp_make(void **state)
{
	struct temp *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->path, "/tmp/dirdisk-unit-XXXXXX");
	if (!mkdtemp(t->path) || chmod(t->path, 0755) < 0) {
		free(t);
		return -1;
	}
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return t->fd < 0 ? -1 : 0;
}

/* By descriptors, since a path may be longer than a call takes. */
static inline void temp_empty(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *d;

	while (dir && (d = readdir(dir))) {
		int sub;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, d->d_name, 0) == 0)
			continue;
		sub = openat(fd, d->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (sub >= 0)
			temp_empty(sub);
		unlinkat(fd, d->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

static inline int temp_remove(void **state)
{
	struct temp *t = *state;

	temp_empty(t->fd);
	rmdir(t->path);
	free(t);
	return 0;
}

#define temp_test(function) \
	cmocka_unit_test_setup_teardown(function, temp_make, temp_remove)

static inline void put_bytes(int dir, const char *name, const void *bytes,
			     size_t len)
{
	_cleanup_close_ int fd = openat(
		dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_sys(fd);
	assert_ok(io_pwrite(fd, bytes, len, 0));
}

static inline void put_text(int dir, const char *name, const char *text)
{
	put_bytes(dir, name, text, strlen(text));
}

/*
 * Runs a function in a process of its own, which may change what it likes;
 * what it returns is its exit code.
 */
static inline int run_apart(int (*function)(void *context), void *context)
{
	pid_t pid = fork();
	int status;

	assert_sys(pid);
	if (pid == 0)
		_exit(function(context));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* In such a function: says what is wrong, and ends it. */
#define CHECK(condition)                                           \
	do {                                                       \
		if (!(condition)) {                                \
			fprintf(stderr, "line %d: %s\n", __LINE__, \
				#condition);                       \
			return 1;                                  \
		}                                                  \
	} while (0)

/* From now on the process' mounts are its own, and go with it. */
static inline bool private_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* ---- trees ---- */

static const struct tree_attr dir_attr = { .mode = S_IFDIR | 0755 };
static const struct tree_attr file_attr = { .mode = S_IFREG | 0644 };
static const struct tree_attr link_attr = { .mode = S_IFLNK | 0777 };

/* A builder of a root and lost+found. */
static inline struct tree_builder *builder_new(void)
{
	struct tree_builder *b;
	struct tree_attr attr = dir_attr;
	builder_id id;

	attr.mode = S_IFDIR | 0700;
	assert_ok(tree_builder_new(&b, &dir_attr));
	assert_ok(tree_builder_add(b, 0, "lost+found", 10, &attr, &id));
	tree_builder_reserve(b, id);
	return b;
}

static inline struct tree *builder_tree(struct tree_builder *builder)
{
	struct tree *tree;

	assert_ok(tree_build(builder, &tree, NULL));
	return tree;
}

/* A file of `size` bytes that reads as zeroes. */
static inline int zero_pread(struct content *content,
			     const struct content_reader *reader, void *buf,
			     size_t len, uint64_t offset)
{
	memset(buf, 0, len);
	return 0;
}

static inline void zero_release(struct content *content)
{
}

static struct content zero_content = { zero_pread, zero_release };

static inline builder_id add_content(struct tree_builder *builder,
				     builder_id parent, const char *name,
				     struct content *content, uint64_t size)
{
	builder_id id;

	assert_ok(tree_builder_add_content(builder, parent, name, &file_attr,
					   content, size, &id));
	return id;
}

static inline builder_id add_file(struct tree_builder *builder,
				  builder_id parent, const char *name,
				  uint64_t size)
{
	return add_content(builder, parent, name, &zero_content, size);
}

static inline builder_id add_dir(struct tree_builder *builder,
				 builder_id parent, const char *name)
{
	builder_id id;

	assert_ok(tree_builder_add(builder, parent, name, strlen(name),
				   &dir_attr, &id));
	return id;
}

static inline tree_id must_find(const struct tree *tree, const char *path)
{
	tree_id id = tree_find(tree, path);

	if (id == TREE_NONE)
		fail_msg("there is no %s", path);
	return id;
}

static inline void get_info(const struct tree *tree, const char *path,
			    struct tree_info *ret_info)
{
	tree_get(tree, must_find(tree, path), ret_info);
}

/* ---- scans ---- */

static const struct tree_scan_options scan_all = { 0 };

/* For scans that ask for no number of their own; 0: one for each core. */
static unsigned scan_threads;

/*
 * Directories that are scanned before the others of `dir`, and hold something:
 * by then there are as many threads as there may be, and any of them may scan
 * what the test is about.
 */
#define BEFORE_DIRS 40u

/* How many nodes of a tree are theirs. */
static uint32_t before_nodes;

static inline void put_before(int dir)
{
	for (unsigned i = 0; i < BEFORE_DIRS; i++) {
		char path[32];

		snprintf(path, sizeof(path), "!%02u", i);
		assert_sys(mkdirat(dir, path, 0755));
		strcat(path, "/file");
		put_text(dir, path, path);
	}
}

static inline int scan_make(void **state, unsigned threads)
{
	const struct temp *t;

	scan_threads = threads;
	if (temp_make(state) < 0)
		return -1;
	t = *state;
	put_before(t->fd);
	before_nodes = 2 * BEFORE_DIRS;
	return 0;
}

static inline int scan_make_one(void **state)
{
	return scan_make(state, 1);
}

static inline int scan_make_eight(void **state)
{
	return scan_make(state, 8);
}

static inline int scan_remove(void **state)
{
	scan_threads = before_nodes = 0;
	return temp_remove(state);
}

/* A test of what a scan finds: by one thread, and by eight. */
#define scan_tests(function)                                               \
	{ #function " (1 thread)", function, scan_make_one, scan_remove }, \
	{                                                                  \
#function " (8 threads)", function, scan_make_eight,       \
			scan_remove                                        \
	}

static inline int try_scan(int fd, const struct tree_scan_options *options,
			   struct tree_builder *grafts, struct tree **ret_tree,
			   struct diag *diag)
{
	struct tree_scan_options o = *options;

	if (o.threads == 0)
		o.threads = scan_threads;
	return tree_scan(fd, "/src", &o, grafts, ret_tree, diag);
}

static inline struct tree *scan(int fd, const struct tree_scan_options *options,
				struct tree_builder *grafts)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct tree *tree;
	int r = try_scan(fd, options, grafts, &tree, &diag);

	if (r < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return tree;
}

/* The host file behind a node, if it is still the one that was scanned. */
static inline int open_host(const struct tree *tree, tree_id id, int *ret_fd,
			    struct diag *diag)
{
	_cleanup_close_ int fd = -1;
	int r = tree_open_host_in(tree, id, NULL, &fd, diag);

	if (r == 0)
		r = tree_verify_host(tree, id, fd, diag);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* All but those that put_before() made. */
static inline void assert_children(const struct tree *tree, const char *dir,
				   const char *names)
{
	char is[4096] = "";
	struct tree_info info, child;

	get_info(tree, dir, &info);
	assert_true(S_ISDIR(info.attr.mode));
	for (uint32_t i = 0; i < info.n_children; i++) {
		tree_get(tree, info.first_child + i, &child);
		if (!*dir && *child.name == '!')
			continue;
		strncat(is, child.name, child.name_len);
		strcat(is, " ");
	}
	assert_string_equal(is, names);
}

/* Open descriptors of the process, and some that are always there. */
static inline int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
