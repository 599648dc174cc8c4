/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees at the limits, without a host: millions of files, the largest one, as
 * many names as an inode has, and what is one too many of each.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "random_tree.h"
#include "scale_trees.h"

#define DIRECTORIES 2000u
#define FILES	    1000u
#define TEBI	    (UINT64_C(1) << 40)

static int try_image(struct tree *tree, struct image **ret_image,
		     struct diag *diag)
{
	const struct image_options options = {
		.src_path = "made tree",
		.boot.no_grub = true,
	};
	struct image_trees trees = { .tree = { random_tree(1, 1, 0), tree } };
	int r = image_assemble(&options, NULL, &trees, NULL, ret_image, diag);

	if (r < 0)
		image_trees_release(&trees);
	return r;
}

static struct image *image_of(struct tree *tree)
{
	struct diag diag = DIAG_INIT;
	struct image *image = NULL;
	int r = try_image(tree, &image, &diag);

	if (r < 0)
		fail_msg("%s", diag_format(&diag, r));
	return image;
}

static void read_image(const struct image *image, void *buf, size_t len,
		       uint64_t offset)
{
	assert_int_equal(image_pread(image, buf, len, offset, NULL), 0);
}

/* A file of a name in a directory; with size's data in the given extent. */
static struct tree *one_file(uint64_t size, const struct tree_extent *extent)
{
	const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	const struct tree_attr attr = { .mode = S_IFREG | 0644 };
	struct tree_builder *b;
	struct tree *tree;
	builder_id id;

	assert_int_equal(tree_builder_new(&b, &dir), 0);
	add_lost_found(b);
	assert_int_equal(tree_builder_add_content(b, 0, "large", &attr,
						  pattern_new(1), size, &id),
			 0);
	if (extent)
		assert_int_equal(tree_builder_set_extents(b, id, extent, 1), 0);
	assert_int_equal(tree_build(b, &tree, NULL), 0);
	tree_builder_free(b);
	return tree;
}

static void assert_refused(struct tree *tree, int err, const char *path,
			   const char *reason)
{
	struct image *image = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(try_image(tree, &image, &diag), err);
	assert_null(image);
	assert_non_null(diag.path);
	assert_string_equal(diag.path, path);
	if (!strstr(diag.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, reason);
	diag_clear(&diag);
}

/* ---- two million files ---- */

/* What is not a file's bytes goes to a sparse file, for e2fsck. */
static void dump_metadata(const struct image *image, int fd)
{
	static uint8_t buf[1 << 20];
	struct region r;

	assert_int_equal(ftruncate(fd, (off_t)image_size(image)), 0);
	for (uint64_t at = 0; at < image_size(image); at = r.end) {
		image_region_at(image, at, &r);
		assert_int_equal(r.start, at);
		assert_true(r.end > at);
		if (r.kind != REGION_RENDER)
			continue;
		for (uint64_t from = at; from < r.end; from += sizeof(buf)) {
			size_t n = r.end - from < sizeof(buf) ? r.end - from
							      : sizeof(buf);

			read_image(image, buf, n, from);
			assert_int_equal(io_pwrite(fd, buf, n, from), 0);
		}
	}
}

static void run_e2fsck(int fd, uint64_t offset)
{
	char path[64];
	pid_t pid;
	int status;

	snprintf(path, sizeof(path), "/proc/self/fd/%d?offset=%llu", fd,
		 (unsigned long long)offset);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execlp("e2fsck", "e2fsck", "-fn", path, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Where partition 2 starts. */
static uint64_t second_start(const struct image *image)
{
	struct region r;

	for (uint64_t at = 0;; at = r.end) {
		image_region_at(image, at, &r);
		if (r.partition == 2)
			return at;
	}
}

/* The bytes of every file, each at its place; in the order of the disk. */
static void check_files(const struct image *image, uint32_t want)
{
	const struct tree *tree = image_tree(image, 1);
	struct region r;
	uint32_t seen = 0;

	for (uint64_t at = 0; at < image_size(image); at = r.end) {
		uint8_t have[4096];
		uint8_t bytes[512];
		static const uint8_t zeroes[4096 - 512];
		struct content *content;

		image_region_at(image, at, &r);
		if (r.kind != REGION_FILE || seen++ % 50 != 0)
			continue;
		content = tree_content(tree, r.node);
		content->pread(content, NULL, bytes, sizeof(bytes), 0);
		read_image(image, have, sizeof(have), at);
		assert_memory_equal(have, bytes, sizeof(bytes));
		assert_memory_equal(have + 512, zeroes, sizeof(zeroes));
	}
	assert_int_equal(seen, want);
}

static void two_million_files(void **state)
{
	struct image *image = image_of(million_tree(DIRECTORIES, FILES));
	int fd = memfd_create("metadata", 0);

	assert_true(fd >= 0);
	assert_int_equal(tree_count(image_tree(image, 1)),
			 2 + DIRECTORIES * (FILES + 1));
	check_files(image, DIRECTORIES * FILES);
	dump_metadata(image, fd);
	run_e2fsck(fd, second_start(image));
	close(fd);
	image_free(image);
}

/* ---- sizes ---- */

static void largest_file(void **state)
{
	const struct tree_extent last = { LARGEST_FILE - 1, LARGEST_FILE };
	struct image *image = image_of(one_file(LARGEST_FILE, &last));

	/* A disk as small as any other. */
	assert_int_equal(image_size(image), 209715200);
	image_free(image);
	assert_refused(one_file(2 * TEBI, &last), -EFBIG, "/large", "2 TiB");
}

static void too_much_for_one_disk(void **state)
{
	const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	const struct tree_attr attr = { .mode = S_IFREG | 0644 };
	struct tree_builder *b;
	struct tree *tree;

	assert_int_equal(tree_builder_new(&b, &dir), 0);
	add_lost_found(b);
	for (int i = 0; i < 30; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(tree_builder_add_content(b, 0, name, &attr,
							  pattern_new(1),
							  TEBI / 10, NULL),
				 0);
	}
	assert_int_equal(tree_build(b, &tree, NULL), 0);
	tree_builder_free(b);
	assert_refused(tree, -EFBIG, "", "2 TiB");
}

static void as_many_links_as_there_are(void **state)
{
	image_free(image_of(links_tree(65000)));
	assert_refused(links_tree(65001), -EMLINK, "/file", "65000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_million_files),
		cmocka_unit_test(largest_file),
		cmocka_unit_test(too_much_for_one_disk),
		cmocka_unit_test(as_many_links_as_there_are),
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
