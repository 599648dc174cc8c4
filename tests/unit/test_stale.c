/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Host files that changed under an image: refused or served, and told to who
 * asks.
 */
#include "support_image.h"

#include "image/stale.h"

#include <pthread.h>
#include <time.h>

#define SIZE 10000u

static void put_filled(int dir, const char *name, char byte, size_t size)
{
	char buf[2 * SIZE];

	memset(buf, byte, size);
	put_bytes(dir, name, buf, size);
}

/* Scanned a while after it was written: clocks tick slowly. */
static struct image *image_now(int fd, bool serve)
{
	const struct image_options options = {
		.src_fd = fd,
		.src_path = "/src",
		.serve_stale = serve,
		.boot.no_grub = true,
	};
	struct image *image;

	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	assert_ok(image_build(&options, &image, NULL));
	return image;
}

static tree_id node_of(const struct image *image, const char *path)
{
	const struct tree *tree = image_tree(image, path[0] != 'b');

	return tree_inode(tree, must_find(tree, path));
}

/* Files of SIZE bytes, all below boot/ but those of another name. */
static int read_at(const struct image *image, const char *path, void *buf,
		   size_t len, uint64_t offset, struct diag *diag)
{
	uint64_t at = find_on_disk(image, path[0] == 'b' ? 1 : 2,
				   node_of(image, path), 0);

	return image_pread(image, buf, len, at + offset, diag);
}

/* In part and whole, it holds n of that byte, then zeroes; named if not the
 * scan's. */
static void assert_serves(const struct image *image, const char *path,
			  char byte, size_t n)
{
	for (size_t from = 0; from <= 100; from += 100) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		char is[SIZE], expected[SIZE] = { 0 };

		memset(is, 0x55, SIZE);
		memset(expected, byte, n);
		assert_ok(read_at(image, path, is, SIZE - from, from, &diag));
		if (byte == 'a')
			assert_null(diag.path);
		else
			assert_contains(diag.path, path);
		assert_memory_equal(is, expected + from, SIZE - from);
	}
}

static void assert_fails(const struct image *image, const char *path, int err)
{
	for (size_t from = 0; from <= 100; from += 100) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		char buf[SIZE];

		assert_int_equal(
			read_at(image, path, buf, SIZE - from, from, &diag),
			err);
		assert_contains(diag.path, path);
		assert_non_null(diag.reason);
	}
}

/* Exactly these, in any order; NULL ends the list. */
static void assert_taken(const struct image *image, const char *const paths[])
{
	struct image_stale stale[IMAGE_STALE_MAX];
	bool more = true;
	size_t n = image_take_stale(image, stale, &more);
	size_t wanted = 0;

	for (; paths[wanted]; wanted++) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found |= stale[i].part == (paths[wanted][0] != 'b') &&
				 stale[i].node == node_of(image, paths[wanted]);
		if (!found)
			fail_msg("%s is not among them", paths[wanted]);
	}
	assert_int_equal(n, wanted);
	assert_false(more);
}

#define PATHS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- what is read ---- */

static void put_all(int dir)
{
	assert_sys(mkdirat(dir, "boot", 0755));
	put_filled(dir, "boot/same", 'a', SIZE);
	put_filled(dir, "boot/written", 'a', SIZE);
	put_filled(dir, "boot/shorter", 'a', SIZE);
	put_filled(dir, "boot/longer", 'a', SIZE);
	put_filled(dir, "replaced", 'a', SIZE);
	put_filled(dir, "removed", 'a', SIZE);
	put_filled(dir, "fifo", 'a', SIZE);
	put_filled(dir, "dir", 'a', SIZE);
	put_filled(dir, "link", 'a', SIZE);
}

static void change_all(int dir)
{
	put_filled(dir, "boot/written", 'b', SIZE);
	put_filled(dir, "boot/shorter", 'b', 4000);
	put_filled(dir, "boot/longer", 'b', 2 * SIZE);
	put_filled(dir, "new", 'b', SIZE);
	assert_sys(renameat(dir, "new", dir, "replaced"));
	for (int i = 0; i < 4; i++)
		assert_sys(unlinkat(dir,
				    (const char *const[]){ "removed", "fifo",
							   "dir", "link" }[i],
				    0));
	assert_sys(mkfifoat(dir, "fifo", 0644));
	assert_sys(mkdirat(dir, "dir", 0755));
	assert_sys(symlinkat("boot/same", dir, "link"));
}

static void refused(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_all(t->fd);
	image = image_now(t->fd, false);
	change_all(t->fd);
	assert_serves(image, "boot/same", 'a', SIZE);
	assert_fails(image, "boot/written", -ESTALE);
	assert_fails(image, "boot/shorter", -ESTALE);
	assert_fails(image, "replaced", -ESTALE);
	assert_fails(image, "removed", -ESTALE);
	assert_taken(image, PATHS("boot/written", "boot/shorter", "replaced",
				  "removed"));
}

static void served(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_all(t->fd);
	image = image_now(t->fd, true);
	change_all(t->fd);
	assert_serves(image, "boot/same", 'a', SIZE);
	assert_serves(image, "boot/written", 'b', SIZE);
	assert_serves(image, "boot/shorter", 'b', 4000);
	assert_serves(image, "boot/longer", 'b', SIZE);
	assert_serves(image, "replaced", 'b', SIZE);
	/* What is there is no file any more. */
	assert_fails(image, "removed", -ESTALE);
	assert_fails(image, "fifo", -ESTALE);
	assert_fails(image, "dir", -ESTALE);
	assert_fails(image, "link", -ESTALE);
	assert_taken(image,
		     PATHS("boot/written", "boot/shorter", "boot/longer",
			   "replaced", "removed", "fifo", "dir", "link"));
}

/* Whatever took its place last: a stale file is not held open. */
static void served_as_it_is_now(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_all(t->fd);
	image = image_now(t->fd, true);
	for (char byte = 'b'; byte < 'f'; byte++) {
		put_filled(t->fd, "new", byte, SIZE);
		assert_sys(renameat(t->fd, "new", t->fd, "replaced"));
		assert_serves(image, "replaced", byte, SIZE);
	}
}

/* Kept open, a file that lost its name is no stale one. */
static void kept(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_all(t->fd);
	image = image_now(t->fd, true);
	assert_ok(image_pin(image, NULL, 100, NULL, 0, NULL));
	assert_sys(unlinkat(t->fd, "boot/longer", 0));
	put_filled(t->fd, "boot/shorter", 'b', 4000);
	assert_serves(image, "boot/longer", 'a', SIZE);
	assert_serves(image, "boot/shorter", 'b', 4000);
	assert_taken(image, PATHS("boot/shorter"));
}

/* ---- what is told ---- */

static void told_once(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_all(t->fd);
	image = image_now(t->fd, false);
	assert_taken(image, PATHS(NULL));
	put_filled(t->fd, "boot/written", 'b', SIZE);
	assert_fails(image, "boot/written", -ESTALE);
	assert_fails(image, "boot/written", -ESTALE);
	assert_taken(image, PATHS("boot/written"));
	assert_taken(image, PATHS(NULL));
	/* Seen again. */
	assert_fails(image, "boot/written", -ESTALE);
	assert_taken(image, PATHS("boot/written"));
}

static void more_than_there_is_room_for(void **state)
{
	const struct temp *t = *state;
	struct image_stale stale[IMAGE_STALE_MAX];
	char name[16], buf[SIZE];

	for (unsigned extra = 0; extra < 3; extra++) {
		_cleanup_image_ struct image *image = NULL;
		bool more;

		for (unsigned i = 0; i < IMAGE_STALE_MAX + extra; i++) {
			snprintf(name, sizeof(name), "f%u", i);
			put_filled(t->fd, name, 'a', SIZE);
		}
		image = image_now(t->fd, false);
		for (unsigned i = 0; i < IMAGE_STALE_MAX + extra; i++) {
			snprintf(name, sizeof(name), "f%u", i);
			put_filled(t->fd, name, 'b', SIZE - 1);
			assert_int_equal(
				read_at(image, name, buf, SIZE, 0, NULL),
				-ESTALE);
		}
		assert_int_equal(image_take_stale(image, stale, &more),
				 IMAGE_STALE_MAX);
		assert_int_equal(more, extra > 0);
		assert_int_equal(image_take_stale(image, stale, &more), 0);
		assert_false(more);
	}
}

/* Of a tree that none of these is: nothing but that there is something. */
static void of_no_tree(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	const struct tree *trees[IMAGE_PARTS] = { NULL };
	struct image_stale stale[IMAGE_STALE_MAX];
	struct stale_list list;
	bool more = false;

	put_all(t->fd);
	image = image_now(t->fd, false);
	stale_init(&list);
	stale_add(&list, image_tree(image, 1), node_of(image, "replaced"));
	assert_int_equal(stale_take(&list, trees, stale, &more), 0);
	assert_true(more);
	assert_int_equal(stale_take(&list, trees, stale, &more), 0);
	assert_false(more);
	stale_release(&list);
}

#define THREADS 4
#define ROUNDS	200

/* Gives the image back if a read did not fail. */
static void *read_stale(void *context)
{
	struct image *image = context;
	char buf[SIZE];

	for (int i = 0; i < ROUNDS; i++)
		if (read_at(image, i % 2 ? "boot/written" : "replaced", buf,
			    SIZE, 0, NULL) != -ESTALE)
			return image;
	return NULL;
}

static void told_while_they_are_read(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	pthread_t threads[THREADS];
	struct image_stale stale[IMAGE_STALE_MAX];
	bool more;

	put_all(t->fd);
	image = image_now(t->fd, false);
	change_all(t->fd);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_stale, image),
			0);
	for (int i = 0; i < ROUNDS; i++) {
		assert_true(image_take_stale(image, stale, &more) <= 2);
		assert_false(more);
	}
	for (int i = 0; i < THREADS; i++) {
		void *problem;

		pthread_join(threads[i], &problem);
		assert_null(problem);
	}
	image_take_stale(image, stale, &more);
	assert_fails(image, "replaced", -ESTALE);
	assert_taken(image, PATHS("replaced"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(refused),
		temp_test(served),
		temp_test(served_as_it_is_now),
		temp_test(kept),
		temp_test(told_once),
		temp_test(of_no_tree),
		temp_test(more_than_there_is_room_for),
		temp_test(told_while_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
