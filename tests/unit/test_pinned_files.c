/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that an image keeps open: whole although their names are gone, and
 * never taken for what they were when they are not.
 */
#include "support_image.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#define SIZE 10000u
#define MANY 1000u

static const char *const kernel = "kernels/vmlinuz-1";
static const char *const initrd = "kernels/initrd.img-1";
static const char *const menu = "boot/grub/grub.cfg";

static void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static void put_pattern(int dir, const char *name, uint8_t first)
{
	uint8_t buf[SIZE];

	for (unsigned i = 0; i < SIZE; i++)
		buf[i] = (uint8_t)(first + i % 251);
	put_bytes(dir, name, buf, SIZE);
}

static void put_source(int dir)
{
	assert_sys(mkdirat(dir, "kernels", 0755));
	assert_sys(mkdirat(dir, "boot", 0755));
	assert_sys(mkdirat(dir, "boot/grub", 0755));
	assert_sys(mkdirat(dir, "boot/grub/deep", 0755));
	put_pattern(dir, kernel, 1);
	put_pattern(dir, initrd, 1);
	put_pattern(dir, menu, 1);
	put_pattern(dir, "boot/grub/deep/module", 1);
	put_pattern(dir, "other", 1);
	put_text(dir, "kernels/empty", "");
}
#define KEPT 4 /* of these */

/* Scanned a while after it was written: clocks tick slowly. */
static struct image *image_now(int dir)
{
	tick();
	return image_of_host(dir);
}

static struct image *kept_image(int dir)
{
	struct image *image = image_now(dir);

	assert_ok(image_pin(image, NULL, MANY, NULL, 0, NULL));
	return image;
}

static uint64_t place(const struct image *image, const char *path)
{
	unsigned i = strncmp(path, "boot/", 5) != 0;
	const struct tree *tree = image_tree(image, i);

	return find_on_disk(image, i + 1,
			    tree_inode(tree, must_find(tree, path)), 0);
}

/* From a place on the disk: all of the file, or its middle. */
static int read_at(const struct image *image, uint64_t at, bool whole,
		   struct diag *diag)
{
	uint8_t buf[SIZE];
	size_t skip = whole ? 0 : 5000;
	size_t len = whole ? SIZE : 100;
	int r = image_pread(image, buf, len, at + skip, diag);

	for (size_t i = 0; r == 0 && i < len; i++)
		if (buf[i] != (uint8_t)(1 + (skip + i) % 251))
			return -EILSEQ;
	return r;
}

static void assert_reads(const struct image *image, const char *path, int err)
{
	for (int whole = 0; whole < 2; whole++)
		assert_int_equal(
			read_at(image, place(image, path), whole, NULL), err);
}

/* ---- what may happen to a file ---- */

static void replace(int dir, const char *path)
{
	put_pattern(dir, "new", 7);
	assert_sys(renameat(dir, "new", dir, path));
}

static void replaced_or_removed(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_source(t->fd);
	image = kept_image(t->fd);
	replace(t->fd, kernel);
	assert_sys(unlinkat(t->fd, initrd, 0));
	replace(t->fd, menu);
	replace(t->fd, "other");
	for (int again = 0; again < 2; again++) {
		assert_reads(image, kernel, 0);
		assert_reads(image, initrd, 0);
		assert_reads(image, menu, 0);
		assert_reads(image, "other", -ESTALE);
	}
}

/* In place, before it lost its name or behind that. */
static void rewritten(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	_cleanup_close_ int fd = -1;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	put_source(t->fd);
	fd = openat(t->fd, initrd, O_WRONLY);
	image = kept_image(t->fd);
	put_pattern(t->fd, kernel, 7);
	assert_int_equal(read_at(image, place(image, kernel), true, &diag),
			 -ESTALE);
	assert_string_equal(diag.path, "/src/kernels/vmlinuz-1");
	assert_contains(diag.reason, "written to");
	assert_sys(unlinkat(t->fd, initrd, 0));
	assert_reads(image, initrd, 0);
	tick();
	assert_ok(io_pwrite(fd, "x", 1, 0));
	assert_reads(image, initrd, -ESTALE);
}

/* Who sets the times back is found out all the same. */
static void rewritten_in_secret(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	struct stat st;

	put_source(t->fd);
	image = kept_image(t->fd);
	assert_sys(fstatat(t->fd, kernel, &st, 0));
	put_pattern(t->fd, kernel, 7);
	assert_sys(utimensat(t->fd, kernel,
			     (struct timespec[]){ st.st_atim, st.st_mtim }, 0));
	assert_reads(image, kernel, -ESTALE);
	/* It stays stale when it loses a name. */
	assert_sys(unlinkat(t->fd, kernel, 0));
	assert_reads(image, kernel, -ESTALE);
}

static void changed_after_it_was_removed(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	_cleanup_close_ int fd = -1;

	put_source(t->fd);
	fd = openat(t->fd, kernel, O_RDONLY);
	image = kept_image(t->fd);
	assert_sys(unlinkat(t->fd, kernel, 0));
	assert_reads(image, kernel, 0);
	tick();
	assert_sys(fchmod(fd, 0600));
	assert_reads(image, kernel, -ESTALE);
}

/* With as many names as before it cannot be told from a rewritten one. */
static void renamed(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_source(t->fd);
	image = kept_image(t->fd);
	assert_sys(renameat(t->fd, kernel, t->fd, "kernels/vmlinuz-1.old"));
	assert_reads(image, kernel, -ESTALE);
}

static void names_come_and_go(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_source(t->fd);
	assert_sys(linkat(t->fd, kernel, t->fd, "second", 0));
	assert_sys(linkat(t->fd, kernel, t->fd, "third", 0));
	image = kept_image(t->fd);
	assert_sys(unlinkat(t->fd, "second", 0));
	assert_reads(image, kernel, 0);
	tick();
	assert_sys(unlinkat(t->fd, kernel, 0));
	assert_reads(image, kernel, 0);
	tick();
	assert_sys(linkat(t->fd, "third", t->fd, "fourth", 0));
	assert_reads(image, kernel, 0);
	tick();
	assert_sys(unlinkat(t->fd, "fourth", 0));
	assert_reads(image, kernel, 0);
}

/* ---- which, and how many ---- */

static void budgets(void **state)
{
	const struct temp *t = *state;

	put_source(t->fd);
	for (size_t budget = 0; budget < KEPT + 2; budget++) {
		_cleanup_image_ struct image *image = image_now(t->fd);
		size_t pinned = budget < KEPT ? budget : KEPT;
		int before = count_descriptors();

		assert_int_equal(image_pinned(image), 0);
		assert_ok(image_pin(image, NULL, budget, NULL, 0, NULL));
		assert_int_equal(image_pinned(image), pinned);
		assert_int_equal(count_descriptors(), before + (int)pinned);
		assert_reads(image, kernel, 0);
		assert_reads(image, "boot/grub/deep/module", 0);
	}
}

/* Kernels first, then what lies near the root. */
static void order(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_source(t->fd);
	image = image_now(t->fd);
	assert_ok(image_pin(image, NULL, 3, NULL, 0, NULL));
	for (int i = 0; i < 4; i++)
		replace(t->fd,
			(const char *const[]){ kernel, initrd, menu,
					       "boot/grub/deep/module" }[i]);
	assert_reads(image, kernel, 0);
	assert_reads(image, initrd, 0);
	assert_reads(image, menu, 0);
	assert_reads(image, "boot/grub/deep/module", -ESTALE);
}

/* By its inode, whose first name may well be elsewhere. */
static void several_names(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	assert_sys(mkdirat(t->fd, "kernels", 0755));
	put_pattern(t->fd, "a", 1);
	for (int i = 0; i < 3; i++)
		assert_sys(
			linkat(t->fd, "a", t->fd,
			       (const char *const[]){ "kernels/b", "kernels/c",
						      "kernels/d" }[i],
			       0));
	image = kept_image(t->fd);
	assert_int_equal(image_pinned(image), 1);
	assert_sys(unlinkat(t->fd, "a", 0));
	assert_reads(image, "kernels/c", 0);
}

static void neither_directory(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_pattern(t->fd, "kernels", 1);
	put_pattern(t->fd, "other", 1);
	image = kept_image(t->fd);
	assert_int_equal(image_pinned(image), 1);
	assert_sys(unlinkat(t->fd, "kernels", 0));
	assert_reads(image, "kernels", 0);
}

static int keep_with_few_descriptors(void *context)
{
	struct image *image = context;
	const struct rlimit limit = { 64, 64 };
	int last = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 3;
	for (int fd = 0; fd >= 0; fd = dup(0))
		last = fd;
	/* A directory is held for its second file, and let go. */
	for (int i = 0; i < 3; i++)
		close(last - i);
	if (image_pin(image, NULL, MANY, NULL, 0, NULL) < 0)
		return 1;
	return image_pinned(image) == 3 ? 0 : 2;
}

static void no_descriptors_left(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;

	put_source(t->fd);
	image = image_now(t->fd);
	assert_int_equal(run_apart(keep_with_few_descriptors, image), 0);
}

#define CACHED 100

/* The earlier image's cache has all that the process may have. */
static int read_with_few_descriptors(void *context)
{
	const struct temp *t = context;
	_cleanup_image_ struct image *first = image_now(t->fd);
	_cleanup_image_ struct image *second = image_now(t->fd);
	rlim_t limit = (rlim_t)count_descriptors() + CACHED / 2;
	char name[16];

	if (image_pin(first, NULL, 0, NULL, 0, NULL) < 0 ||
	    image_pin(second, first, 0, NULL, 0, NULL) < 0)
		return 1;
	if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ limit, limit }) < 0)
		return 2;
	for (unsigned i = 0; i < CACHED; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		if (read_at(first, place(first, name), false, NULL) < 0)
			return 3;
	}
	/* Whatever is closed by now is taken by others of the process. */
	while (dup(t->fd) >= 0)
		;
	return read_at(second, place(second, "f0"), false, NULL) < 0 ? 4 : 0;
}

static void descriptors_of_all_images(void **state)
{
	const struct temp *t = *state;
	char name[16];

	put_source(t->fd);
	for (unsigned i = 0; i < CACHED; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		put_pattern(t->fd, name, 1);
	}
	assert_int_equal(run_apart(read_with_few_descriptors, *state), 0);
}

static void changed_before_it_was_kept(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	const struct diag_sink sink = { 0 };
	int before;

	put_source(t->fd);
	image = image_now(t->fd);
	before = count_descriptors();
	for (int removed = 0; removed < 2; removed++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;

		if (removed)
			assert_sys(unlinkat(t->fd, menu, 0));
		else
			put_pattern(t->fd, menu, 7);
		assert_int_equal(image_pin(image, NULL, MANY, NULL, 0, &diag),
				 -ESTALE);
		assert_string_equal(diag.path, "/src/boot/grub/grub.cfg");
		/* The sink stays. */
		diag_clear(&diag);
		diag.sink = &sink;
		assert_int_equal(image_pin(image, NULL, MANY, NULL, 0, &diag),
				 -ESTALE);
		assert_string_equal(diag.path, "/src/boot/grub/grub.cfg");
		assert_ptr_equal(diag.sink, &sink);
		assert_int_equal(image_pin(image, NULL, MANY, NULL, 0, NULL),
				 -ESTALE);
		assert_int_equal(image_pinned(image), 0);
		assert_int_equal(count_descriptors(), before);
	}
}

/* ---- shared ---- */

static void shared(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *second = NULL;
	struct image *first;
	int one, both;

	put_source(t->fd);
	first = kept_image(t->fd);
	replace(t->fd, kernel);
	second = image_now(t->fd);
	one = count_descriptors();
	assert_ok(image_pin(second, first, MANY, NULL, 0, NULL));
	both = count_descriptors();
	assert_int_equal(image_pinned(second), KEPT);
	assert_int_equal(both, one + 1);
	replace(t->fd, initrd);
	assert_reads(first, initrd, 0);
	assert_reads(second, initrd, 0);
	assert_reads(first, kernel, 0);
	assert_reads(second, kernel, -EILSEQ);
	image_free(first);
	/* Its kernel, and three roots of trees. */
	assert_int_equal(count_descriptors(), both - 4);
	assert_reads(second, initrd, 0);
	assert_reads(second, menu, 0);
}

/* The earlier image has half of what there may be; what is shared is free. */
static void one_budget(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *second = NULL, *third = NULL;
	struct image *first;

	put_source(t->fd);
	first = image_now(t->fd);
	assert_ok(image_pin(first, NULL, 3, NULL, 0, NULL));
	replace(t->fd, kernel);
	replace(t->fd, initrd);
	second = image_now(t->fd);
	assert_ok(image_pin(second, first, 4, NULL, 0, NULL));
	assert_int_equal(image_pinned(second), 2);
	image_free(first);
	third = image_now(t->fd);
	assert_ok(image_pin(third, second, 4, NULL, 0, NULL));
	assert_int_equal(image_pinned(third), KEPT);
}

/* One that lost a name in between is shared, and so is one that got another. */
static void shared_by_identity(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *first = NULL, *second = NULL;
	int before;

	put_source(t->fd);
	assert_sys(linkat(t->fd, kernel, t->fd, "second", 0));
	first = kept_image(t->fd);
	tick();
	assert_sys(unlinkat(t->fd, "second", 0));
	assert_sys(linkat(t->fd, initrd, t->fd, "third", 0));
	second = image_now(t->fd);
	before = count_descriptors();
	assert_ok(image_pin(second, first, MANY, NULL, 0, NULL));
	assert_int_equal(count_descriptors(), before);
	assert_reads(first, kernel, 0);
	assert_reads(second, kernel, 0);
	assert_reads(first, initrd, 0);
	assert_reads(second, initrd, 0);
	tick();
	assert_sys(unlinkat(t->fd, kernel, 0));
	assert_sys(unlinkat(t->fd, initrd, 0));
	assert_reads(first, kernel, 0);
	assert_reads(second, kernel, 0);
	assert_reads(first, initrd, 0);
	assert_reads(second, initrd, 0);
}

static void moved_to_another_place(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *first = NULL, *second = NULL;

	put_source(t->fd);
	first = kept_image(t->fd);
	tick();
	assert_sys(renameat(t->fd, kernel, t->fd, "a"));
	assert_sys(mkdirat(t->fd, kernel, 0755));
	assert_sys(renameat(t->fd, "a", t->fd, "kernels/vmlinuz-1/a"));
	second = image_now(t->fd);
	assert_ok(image_pin(second, first, MANY, NULL, 0, NULL));
	assert_int_equal(image_pinned(second), KEPT);
	assert_reads(first, kernel, -ESTALE);
	assert_reads(second, "kernels/vmlinuz-1/a", 0);
}

/* ---- threads ---- */

#define THREADS 8
#define LINKS	40

struct reader {
	const struct image *image;
	uint64_t at;
	atomic_bool *stop;
	unsigned reads;
	int err;
};

static void *read_until_stopped(void *context)
{
	struct reader *r = context;

	while (!atomic_load(r->stop) && r->err == 0)
		r->err = read_at(r->image, r->at, r->reads++ % 2, NULL);
	return NULL;
}

/* Its names go one by one while all read it, in two images. */
static void names_go_while_it_is_read(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *first = NULL, *second = NULL;
	struct reader readers[THREADS];
	pthread_t threads[THREADS];
	atomic_bool stop = false;
	char name[16];

	put_source(t->fd);
	for (int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		assert_sys(linkat(t->fd, kernel, t->fd, name, 0));
	}
	first = kept_image(t->fd);
	second = image_now(t->fd);
	assert_ok(image_pin(second, first, MANY, NULL, 0, NULL));
	for (int i = 0; i < THREADS; i++) {
		const struct image *image = i % 2 ? first : second;

		readers[i] = (struct reader){ .image = image,
					      .at = place(image, kernel),
					      .stop = &stop };
		assert_int_equal(pthread_create(&threads[i], NULL,
						read_until_stopped,
						&readers[i]),
				 0);
	}
	for (int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		assert_sys(unlinkat(t->fd, name, 0));
		nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	}
	assert_sys(unlinkat(t->fd, kernel, 0));
	tick();
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].err, 0);
		assert_true(readers[i].reads > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(replaced_or_removed),
		temp_test(rewritten),
		temp_test(rewritten_in_secret),
		temp_test(changed_after_it_was_removed),
		temp_test(renamed),
		temp_test(names_come_and_go),
		temp_test(budgets),
		temp_test(order),
		temp_test(several_names),
		temp_test(neither_directory),
		temp_test(no_descriptors_left),
		temp_test(descriptors_of_all_images),
		temp_test(changed_before_it_was_kept),
		temp_test(shared),
		temp_test(one_budget),
		temp_test(shared_by_identity),
		temp_test(moved_to_another_place),
		temp_test(names_go_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
