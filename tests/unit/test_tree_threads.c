/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A scan by several threads: what it finds, what it says, what it survives. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#define NOBODY 65534

static uint64_t seed;

/* ---- a random directory of the host ---- */

struct host {
	uint64_t random;
	int fd;
	unsigned files;
	char last[64]; /* a file, for further links to it */
};

static void put_sparse(struct host *h, const char *path)
{
	_cleanup_close_ int fd = openat(h->fd, path, O_RDWR | O_CREAT, 0644);

	assert_sys(fd);
	assert_sys(ftruncate(fd, 1 << 20));
	assert_ok(io_pwrite(fd, "x", 1, random_below(&h->random, 1 << 20)));
}

static void put_random(struct host *h, const char *path)
{
	switch (random_below(&h->random, 8)) {
	case 0:
		assert_sys(symlinkat(path, h->fd, path));
		return;
	case 1:
		if (*h->last) {
			assert_sys(linkat(h->fd, h->last, h->fd, path, 0));
			return;
		}
		break;
	case 2:
		put_sparse(h, path);
		return;
	case 3:
		assert_sys(mkfifoat(h->fd, path, 0600));
		return;
	}
	put_text(h->fd, path, path);
	strcpy(h->last, path);
}

static void fill_host(struct host *h, const char *dir, unsigned depth)
{
	unsigned n = (unsigned)random_below(&h->random, 30);

	for (unsigned i = 0; i < n; i++) {
		unsigned name = (unsigned)random_below(&h->random, 4096);
		_cleanup_free_ char *path = NULL;

		assert_sys(asprintf(&path, "%s%s%x-%u", dir, *dir ? "/" : "",
				    name, h->files++));
		if (depth < 4 && random_below(&h->random, 4) == 0) {
			assert_sys(mkdirat(h->fd, path, 0755));
			fill_host(h, path, depth + 1);
		} else {
			put_random(h, path);
		}
	}
}

static struct tree *scan_with(const struct temp *t, unsigned threads)
{
	const struct tree_scan_options options = { .threads = threads };
	_cleanup_builder_ struct tree_builder *grafts = builder_new();

	return scan(t->fd, &options, grafts);
}

/* ---- the same for any number ---- */

static void assert_same_node(const struct tree *one, const struct tree *other,
			     tree_id id)
{
	struct tree_info a, b;

	tree_get(one, id, &a);
	tree_get(other, id, &b);
	assert_memory_equal(&a.attr, &b.attr, sizeof(a.attr));
	assert_int_equal(a.name_len, b.name_len);
	assert_memory_equal(a.name, b.name, a.name_len);
	assert_int_equal(a.parent, b.parent);
	assert_int_equal(a.inode, b.inode);
	assert_int_equal(a.nlink, b.nlink);
	assert_int_equal(a.size, b.size);
	assert_int_equal(a.first_child, b.first_child);
	assert_int_equal(a.n_children, b.n_children);
	assert_int_equal(a.n_subdirs, b.n_subdirs);
	assert_int_equal(a.reserved, b.reserved);
	assert_int_equal(a.sparse, b.sparse);
	assert_int_equal(a.n_extents, b.n_extents);
	if (a.n_extents > 0)
		assert_memory_equal(a.extents, b.extents,
				    a.n_extents * sizeof(*a.extents));
	if (S_ISLNK(a.attr.mode))
		assert_memory_equal(a.target, b.target, a.size);
}

static void assert_same(const struct tree *one, const struct tree *other)
{
	uint8_t a[16], b[16];

	assert_int_equal(tree_count(one), tree_count(other));
	for (tree_id id = 0; id < tree_count(one); id++)
		assert_same_node(one, other, id);
	tree_digest(one, a);
	tree_digest(other, b);
	assert_memory_equal(a, b, sizeof(a));
}

static void same_tree_for_any_number(void **state)
{
	const struct temp *t = *state;
	struct host h = { .random = seed, .fd = t->fd };
	_cleanup_tree_ struct tree *one = NULL;

	while (h.files < 1000)
		fill_host(&h, "", 0);
	one = scan_with(t, 1);
	assert_true(tree_count(one) > 1000);
	for (unsigned threads = 0; threads <= 8; threads++) {
		_cleanup_tree_ struct tree *other = scan_with(t, threads);

		assert_same(one, other);
	}
}

/* Names that begin alike, and some that others begin with. */
static void names_in_order(void **state)
{
	const struct temp *t = *state;
	_cleanup_tree_ struct tree *tree = NULL;
	uint64_t random = seed;
	char last[64] = "";

	for (unsigned i = 0; i < 3000; i++) {
		char name[64];
		int len = snprintf(name, sizeof(name), "common-%llx\xff-%llx",
				   (unsigned long long)random_below(&random, 9),
				   (unsigned long long)random_next(&random));

		name[7 + random_below(&random, (uint64_t)len - 7)] = '\0';
		put_text(t->fd, name, "");
	}
	tree = scan_with(t, 0);
	for (tree_id id = 1; id < tree_count(tree); id++) {
		struct tree_info info;
		char name[64] = "";

		tree_get(tree, id, &info);
		memcpy(name, info.name, info.name_len);
		assert_true(strcmp(last, name) < 0);
		strcpy(last, name);
	}
}

/* ---- what is told of ---- */

/* 30 directories of 60 files, of which those ending in 7 are closed. */
static void make_closed(const struct temp *t)
{
	for (int d = 0; d < 30; d++) {
		char path[32];

		snprintf(path, sizeof(path), "d%02d", d);
		assert_sys(mkdirat(t->fd, path, 0755));
		for (int i = 59; i >= 0; i--) {
			snprintf(path, sizeof(path), "d%02d/%02d", d, i);
			put_text(t->fd, path, "");
			if (d >= 5 && i % 10 == 7)
				assert_sys(fchmodat(t->fd, path, 0, 0));
		}
	}
}

static int scan_closed(void *context)
{
	int fd = *(int *)context;

	if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 1;
	for (unsigned i = 0; i < 40; i++) {
		struct tree_scan_options options = { .threads = 1 + i % 8 };
		struct diag diag = DIAG_INIT;
		struct tree *tree;

		if (tree_scan(fd, "/src", &options, NULL, &tree, &diag) !=
		    -EACCES)
			return 2;
		if (!diag.path || strcmp(diag.path, "/src/d05/07") != 0)
			return 3;
		diag_clear(&diag);
		options.unreadable = TREE_UNREADABLE_SKIP;
		if (tree_scan(fd, "/src", &options, NULL, &tree, NULL) < 0)
			return 4;
		if (tree_skipped(tree) != 25 * 6)
			return 5;
		tree_free(tree);
	}
	return 0;
}

static void first_error_wins(void **state)
{
	const struct temp *t = *state;
	int fd = t->fd;

	make_closed(t);
	assert_int_equal(run_apart(scan_closed, &fd), 0);
}

/* All that cannot be read, in order, and a tree of the rest; 0 if it is so. */
static int scan_listening(void *context)
{
	int fd = *(int *)context;

	if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 1;
	for (unsigned i = 0; i < 40; i++) {
		struct tree_scan_options options = { .threads = 1 + i % 8 };
		struct heard heard;
		struct diag diag = heard_begin(&heard);
		struct tree *tree;

		if (tree_scan(fd, "/src", &options, NULL, &tree, &diag) < 0)
			return 2;
		if (heard.n != 25 * 6 || diag.reported != -EACCES)
			return 3;
		for (size_t n = 1; n < heard.n; n++)
			if (strcmp(heard.lines[n - 1], heard.lines[n]) >= 0)
				return 7;
		if (strncmp(heard.lines[0], "/src/d05/07: ", 13) != 0 ||
		    strncmp(heard.lines[149], "/src/d29/57: ", 13) != 0)
			return 4;
		if (tree_count(tree) != 1 + 30 + 30 * 60 - 25 * 6 ||
		    tree_find(tree, "d05/07") != TREE_NONE)
			return 5;
		tree_free(tree);
		heard_clear(&heard);
		options.unreadable = TREE_UNREADABLE_SKIP;
		if (tree_scan(fd, "/src", &options, NULL, &tree, &diag) < 0 ||
		    heard.n != 25 * 6 || heard.errors[0] != 0)
			return 6;
		tree_free(tree);
		heard_clear(&heard);
	}
	return 0;
}

static void all_errors_are_told(void **state)
{
	const struct temp *t = *state;
	int fd = t->fd;

	make_closed(t);
	assert_int_equal(run_apart(scan_listening, &fd), 0);
}

struct seen {
	atomic_bool inside;
	uint64_t last;
	unsigned calls;
	bool wrong;
};

static void see(void *context, uint64_t entries)
{
	struct seen *seen = context;

	/* Not always the test's own thread: it is judged later. */
	if (atomic_exchange(&seen->inside, true) || entries <= seen->last)
		seen->wrong = true;
	seen->last = entries;
	seen->calls++;
	atomic_store(&seen->inside, false);
}

static void progress_by_one_at_a_time(void **state)
{
	const struct temp *t = *state;
	struct seen seen = { .last = 0 };
	const struct tree_scan_options options = { .threads = 8,
						   .progress = see,
						   .context = &seen };
	_cleanup_tree_ struct tree *tree = NULL;

	for (int d = 0; d < 50; d++) {
		char path[32];

		snprintf(path, sizeof(path), "d%d", d);
		assert_sys(mkdirat(t->fd, path, 0755));
		for (int i = 0; i < 100; i++) {
			snprintf(path, sizeof(path), "d%d/%d", d, i);
			assert_sys(mknodat(t->fd, path, S_IFREG | 0644, 0));
		}
	}
	tree = scan(t->fd, &options, NULL);
	assert_false(seen.wrong);
	assert_int_equal(seen.calls, tree_count(tree) / 1024);
}

/* ---- trees that change ---- */

struct unrest {
	int fd;
	uint64_t random;
	atomic_bool over;
};

/* Nothing of this must succeed. */
static void change_something(struct unrest *u)
{
	char a[16], b[32];

	snprintf(a, sizeof(a), "%d", (int)random_below(&u->random, 12));
	snprintf(b, sizeof(b), "%d/%d", (int)random_below(&u->random, 12),
		 (int)random_below(&u->random, 12));
	switch (random_below(&u->random, 9)) {
	case 0:
		(void)!mkdirat(u->fd, a, 0755);
		break;
	case 1:
		(void)!mkdirat(u->fd, b, 0755);
		break;
	case 2:
		(void)!renameat(u->fd, a, u->fd, b);
		break;
	case 3:
		(void)!renameat(u->fd, b, u->fd, a);
		break;
	case 4:
		(void)!unlinkat(u->fd, b, 0);
		break;
	case 5:
		(void)!unlinkat(u->fd, b, AT_REMOVEDIR);
		break;
	case 6:
		(void)!symlinkat("elsewhere", u->fd, b);
		break;
	case 7:
		(void)!linkat(u->fd, b, u->fd, a, 0);
		break;
	case 8: {
		int fd = openat(u->fd, b, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);

		if (fd >= 0) {
			(void)!ftruncate(fd, 50000);
			close(fd);
		}
		break;
	}
	}
}

static void *unrest(void *context)
{
	struct unrest *u = context;

	while (!atomic_load(&u->over)) {
		change_something(u);
		usleep((useconds_t)random_below(&u->random, 150));
	}
	return NULL;
}

/* What holds for any tree, whatever it is a tree of. */
static void assert_whole(const struct tree *tree)
{
	tree_id next = 1;

	for (tree_id id = 0; id < tree_count(tree); id++) {
		struct tree_info info;

		tree_get(tree, id, &info);
		assert_true(info.inode <= id);
		if (!S_ISDIR(info.attr.mode))
			continue;
		assert_int_equal(info.first_child, next);
		next += info.n_children;
		for (uint32_t i = 0; i < info.n_children; i++) {
			struct tree_info child;

			tree_get(tree, info.first_child + i, &child);
			assert_int_equal(child.parent, id);
			/* No other of that name stands before it. */
			assert_int_equal(tree_child(tree, id, child.name,
						    child.name_len),
					 info.first_child + i);
		}
	}
	assert_int_equal(next, tree_count(tree));
}

static void change_under_the_scan(void **state)
{
	const struct temp *t = *state;
	struct unrest u = { .fd = t->fd, .random = seed };
	pthread_t thread;
	unsigned trees = 0;

	for (int i = 0; i < 1000; i++)
		change_something(&u);
	assert_int_equal(pthread_create(&thread, NULL, unrest, &u), 0);
	for (int i = 0; i < 600; i++) {
		const struct tree_scan_options options = {
			.threads = 1 + (unsigned)i % 8,
		};
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		_cleanup_tree_ struct tree *tree = NULL;
		int r = tree_scan(t->fd, "/src", &options, NULL, &tree, &diag);

		if (r == 0) {
			assert_whole(tree);
			trees++;
			continue;
		}
		assert_int_equal(r, -EAGAIN);
		assert_contains(diag.path, "/src/");
		assert_contains(diag.reason, "at rest");
	}
	atomic_store(&u.over, true);
	pthread_join(thread, NULL);
	printf("# %u of 600 scans gave a tree\n", trees);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(same_tree_for_any_number),
		temp_test(names_in_order),
		temp_test(first_error_wins),
		temp_test(all_errors_are_told),
		temp_test(progress_by_one_at_a_time),
		temp_test(change_under_the_scan),
	};

	umask(0);
	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
