/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A scan with an earlier tree: what is the same, what is read, what is shared.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

static uint64_t seed;

/* ---- a directory that changes, and what changed in it ---- */

struct host {
	uint64_t random;
	int fd;
	unsigned names;
	char dirs[64][512]; /* paths; "" is the root */
	unsigned n_dirs;
	bool changed[64];
	/* Further names that were made in this round. */
	struct made {
		char *path;
		ino_t ino;
	} made[8];
	unsigned n_made;
};

static unsigned some_dir(struct host *h)
{
	return (unsigned)random_below(&h->random, h->n_dirs);
}

static char *path_in(struct host *h, unsigned dir, unsigned name)
{
	char *path;

	assert_sys(asprintf(&path, "%s%s%u", h->dirs[dir],
			    *h->dirs[dir] ? "/" : "", name));
	return path;
}

/* A path that may lead to something, and its directory. */
static char *some_path(struct host *h, unsigned *ret_dir)
{
	*ret_dir = some_dir(h);
	return path_in(h, *ret_dir, (unsigned)random_below(&h->random, 12));
}

static void add_directory(struct host *h)
{
	unsigned parent = some_dir(h);
	_cleanup_free_ char *path = path_in(h, parent, 1000 + h->names++);

	if (h->n_dirs == 64)
		return;
	assert_sys(mkdirat(h->fd, path, 0755));
	h->changed[parent] = true;
	h->changed[h->n_dirs] = true;
	strcpy(h->dirs[h->n_dirs++], path);
}

static void change_directory(struct host *h)
{
	unsigned dir = some_dir(h);
	const char *path = *h->dirs[dir] ? h->dirs[dir] : ".";

	assert_sys(fchmodat(h->fd, path,
			    0700 + (mode_t)random_below(&h->random, 64), 0));
	h->changed[dir] = true;
}

static ino_t inode_of(const struct host *h, const char *path)
{
	struct stat st;

	return fstatat(h->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0
								  : st.st_ino;
}

/* Nobody is told of the directories of its other names. */
static void link_entry(struct host *h, const char *file, const char *path)
{
	if (linkat(h->fd, file, h->fd, path, 0) < 0)
		return;
	h->made[h->n_made].path = strdup(path);
	h->made[h->n_made++].ino = inode_of(h, path);
}

/*
 * A name that came and went leaves another change time on a file whose
 * directory nobody looks at: that is for the file's readers to find out.
 */
static void settle_links(struct host *h)
{
	while (h->n_made > 0) {
		struct made *made = &h->made[--h->n_made];

		if (inode_of(h, made->path) != made->ino)
			memset(h->changed, true, h->n_dirs);
		free(made->path);
	}
}

static void change_entry(struct host *h)
{
	unsigned dir, other;
	_cleanup_free_ char *path = some_path(h, &dir);
	_cleanup_free_ char *second = some_path(h, &other);

	h->changed[dir] = true;
	switch (random_below(&h->random, 6)) {
	case 0:
		unlinkat(h->fd, path, 0);
		break;
	case 1:
		h->changed[other] = true;
		renameat(h->fd, path, h->fd, second);
		break;
	case 2:
		(void)!symlinkat(second, h->fd, path);
		break;
	case 3:
		link_entry(h, second, path);
		break;
	default:
		if (faccessat(h->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			unlinkat(h->fd, path, 0);
		put_text(h->fd, path, second);
	}
}

static void change_some(struct host *h)
{
	unsigned n = 1 + (unsigned)random_below(&h->random, 4);

	for (unsigned i = 0; i < n; i++) {
		switch (random_below(&h->random, 8)) {
		case 0:
			add_directory(h);
			break;
		case 1:
			change_directory(h);
			break;
		default:
			change_entry(h);
		}
	}
	settle_links(h);
}

/* ---- scans ---- */

static int32_t count_watch(void *context, int dirfd)
{
	atomic_uint *reads = context;

	assert_true(dirfd >= 0);
	return (int32_t)atomic_fetch_add(reads, 1);
}

static struct tree *scan_again(struct host *h, const struct tree *previous,
			       const tree_id *changed, size_t n,
			       atomic_uint *reads)
{
	const struct tree_scan_options options = {
		.previous = previous,
		.changed = changed,
		.n_changed = n,
		.watch = count_watch,
		.watch_context = reads,
		.threads = 1 + (unsigned)random_below(&h->random, 4),
	};
	_cleanup_builder_ struct tree_builder *grafts = builder_new();

	return scan(h->fd, &options, grafts);
}

static int by_number(const void *a, const void *b)
{
	tree_id x = *(const tree_id *)a;
	tree_id y = *(const tree_id *)b;

	return (x > y) - (x < y);
}

/* Those that the earlier tree knows, as its ids. */
static size_t list_changed(const struct host *h, const struct tree *previous,
			   tree_id changed[64])
{
	size_t n = 0;

	for (unsigned i = 0; i < h->n_dirs; i++) {
		tree_id id = tree_find(previous, h->dirs[i]);

		if (h->changed[i] && id != TREE_NONE)
			changed[n++] = id;
	}
	qsort(changed, n, sizeof(*changed), by_number);
	return n;
}

static void assert_same(const struct tree *one, const struct tree *other)
{
	uint8_t a[16], b[16];

	assert_int_equal(tree_count(one), tree_count(other));
	for (tree_id id = 0; id < tree_count(one); id++) {
		_cleanup_free_ char *path = NULL;
		struct tree_info x, y;

		tree_get(one, id, &x);
		tree_get(other, id, &y);
		assert_ok(tree_path(one, id, &path));
		assert_int_equal(tree_find(other, path), id);
		assert_memory_equal(&x.attr, &y.attr, sizeof(x.attr));
		assert_int_equal(x.inode, y.inode);
		assert_int_equal(x.nlink, y.nlink);
		assert_int_equal(x.n_children, y.n_children);
		assert_int_equal(x.reserved, y.reserved);
	}
	tree_digest(one, a);
	tree_digest(other, b);
	assert_memory_equal(a, b, sizeof(a));
	assert_true(tree_equal(one, other));
}

static void same_as_from_scratch(void **state)
{
	const struct temp *t = *state;
	struct host h = { .random = seed, .fd = t->fd, .n_dirs = 1 };
	atomic_uint reads = 0;
	struct tree *tree;

	for (unsigned i = 0; i < 30; i++)
		change_some(&h);
	tree = scan_again(&h, NULL, NULL, 0, &reads);
	for (unsigned round = 0; round < 400; round++) {
		_cleanup_tree_ struct tree *whole = NULL;
		tree_id changed[64];
		struct tree *next;
		size_t n;

		memset(h.changed, 0, sizeof(h.changed));
		change_some(&h);
		n = list_changed(&h, tree, changed);
		reads = 0;
		next = scan_again(&h, tree, changed, n, &reads);
		whole = scan_again(&h, NULL, NULL, 0, &reads);
		assert_same(next, whole);
		tree_free(tree);
		tree = next;
	}
	tree_free(tree);
}

/* ---- what is shared ---- */

static void make_tree(const struct temp *t)
{
	static const char *const dirs[] = { "a", "a/b", "a/b/c", "d" };

	for (size_t i = 0; i < 4; i++) {
		_cleanup_free_ char *file = NULL;

		assert_sys(mkdirat(t->fd, dirs[i], 0755));
		assert_sys(asprintf(&file, "%s/file", dirs[i]));
		put_text(t->fd, file, file);
	}
}

static void all_others_are_shared(void **state)
{
	const struct temp *t = *state;
	struct host h = { .random = seed, .fd = t->fd, .n_dirs = 1 };
	_cleanup_tree_ struct tree *before = NULL;
	_cleanup_tree_ struct tree *after = NULL;
	const unsigned first = before_nodes / 2;
	atomic_uint reads = 0;
	tree_id changed;

	make_tree(t);
	before = scan_again(&h, NULL, NULL, 0, &reads);
	assert_int_equal(reads, first + 5);
	put_text(t->fd, "a/b/file", "other");
	changed = must_find(before, "a/b");
	after = scan_again(&h, before, &changed, 1, &reads);
	assert_int_equal(reads, first + 6);
	for (size_t i = 0; i < 2; i++) {
		const char *path = i ? "d" : "a/b/c";

		assert_int_equal(tree_shared(before, must_find(before, path)),
				 tree_shared(after, must_find(after, path)));
		assert_int_equal(tree_watch(before, must_find(before, path)),
				 tree_watch(after, must_find(after, path)));
	}
	assert_int_not_equal(tree_shared(before, changed),
			     tree_shared(after, must_find(after, "a/b")));
	assert_int_equal(tree_watch(after, must_find(after, "a/b")), first + 5);
	assert_int_equal(tree_watch(after, must_find(after, "lost+found")),
			 TREE_NOT_HOST);
	assert_false(tree_equal(before, after));
}

static void nothing_changed(void **state)
{
	const struct temp *t = *state;
	struct host h = { .random = seed, .fd = t->fd, .n_dirs = 1 };
	_cleanup_tree_ struct tree *before = NULL;
	_cleanup_tree_ struct tree *after = NULL;
	atomic_uint reads = 0;

	make_tree(t);
	before = scan_again(&h, NULL, NULL, 0, &reads);
	assert_true(tree_youngest(before) > 0);
	reads = 0;
	after = scan_again(&h, before, NULL, 0, &reads);
	assert_int_equal(reads, 0);
	assert_true(tree_equal(before, after));
}

/* The one that is freed first leaves the other whole. */
static void either_may_go_first(void **state)
{
	const struct temp *t = *state;
	struct host h = { .random = seed, .fd = t->fd, .n_dirs = 1 };
	atomic_uint reads = 0;
	struct tree_info info;
	struct tree *before;
	struct tree *after;

	make_tree(t);
	before = scan_again(&h, NULL, NULL, 0, &reads);
	after = scan_again(&h, before, NULL, 0, &reads);
	tree_free(before);
	get_info(after, "a/b/c/file", &info);
	assert_int_equal(info.size, strlen("a/b/c/file"));
	before = after;
	after = scan_again(&h, before, NULL, 0, &reads);
	tree_free(after);
	get_info(before, "a/b/c/file", &info);
	tree_free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scan_tests(same_as_from_scratch),
		scan_tests(all_others_are_shared),
		scan_tests(nothing_changed),
		scan_tests(either_may_go_first),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
