/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What must hold for the disk of any tree:
 *   - the regions tile it, and holes are where they say
 *   - any read equals that slice of the whole
 *   - the same tree makes the same bytes, in whatever order it was put together
 *   - e2fsck finds nothing to repair on either partition
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "random_tree.h"

#define MAX_ENTRIES 400

/* The disk as a file: too large for memory, but sparse. */
struct dump {
	int fd;
	uint64_t size;
};

static void fail_with(const char *what, const struct diag *diag, int err)
{
	char *text = diag_format(diag, err);

	fail_msg("%s: %s", what, text);
}

static struct image *make_image(uint64_t seed, uint64_t order)
{
	const struct image_options options = {
		.src_path = "random tree",
		.boot.no_grub = true,
	};
	struct tree *trees[2] = {
		random_tree(seed * 2, order, MAX_ENTRIES / 8),
		random_tree(seed * 2 + 1, order, MAX_ENTRIES),
	};
	struct diag diag = DIAG_INIT;
	struct image *image = NULL;
	int r = image_build_trees(&options, trees, &image, &diag);

	if (r < 0)
		fail_with("image_build_trees", &diag, r);
	return image;
}

static void read_image(const struct image *image, void *buf, size_t len,
		       uint64_t offset)
{
	struct diag diag = DIAG_INIT;
	int r = image_pread(image, buf, len, offset, &diag);

	if (r < 0)
		fail_with("image_pread", &diag, r);
}

/* Writes the data; holes stay holes, and are checked by test_tiling. */
static struct dump dump_image(const struct image *image)
{
	static uint8_t buf[1 << 20];
	char path[] = "/tmp/dirdisk-dump-XXXXXX";
	struct dump dump = { mkstemp(path), image_size(image) };
	uint64_t at = 0;

	assert_true(dump.fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(dump.fd, (off_t)dump.size), 0);
	while ((at = image_next_data(image, at)) < dump.size) {
		uint64_t end = image_next_hole(image, at);

		assert_true(end > at);
		while (at < end) {
			size_t n = end - at < sizeof(buf) ? end - at
							  : sizeof(buf);

			read_image(image, buf, n, at);
			assert_int_equal(pwrite(dump.fd, buf, n, (off_t)at), n);
			at += n;
		}
	}
	return dump;
}

/* ---- the properties, on one tree ---- */

static void check_region(const struct image *image,
			 const struct image_region *region, uint64_t at)
{
	struct image_region again;

	assert_int_equal(region->start, at);
	assert_true(region->end > at);
	assert_true(region->end <= image_size(image));
	assert_non_null(region->what);
	/* Wherever it is asked for, it is the same region. */
	image_region_at(image, region->end - 1, &again);
	assert_int_equal(again.start, region->start);
	assert_int_equal(again.end, region->end);
	assert_int_equal(again.kind, region->kind);
	assert_int_equal(again.node, region->node);
	assert_int_equal(again.node_offset, region->node_offset);
}

static void check_zero(const struct image *image,
		       const struct image_region *region, struct random *r)
{
	static const uint8_t zeroes[4096];
	uint8_t buf[4096];
	uint64_t len = region->end - region->start;
	size_t n = len < sizeof(buf) ? len : sizeof(buf);
	uint64_t at = region->start + random_below(r, len - n + 1);

	read_image(image, buf, n, at);
	assert_memory_equal(buf, zeroes, n);
}

static void check_tiling(const struct image *image, struct random *r)
{
	uint64_t at = 0;

	while (at < image_size(image)) {
		struct image_region region;
		bool zero;

		image_region_at(image, at, &region);
		check_region(image, &region, at);
		zero = region.kind == IMAGE_ZERO;
		if (zero)
			check_zero(image, &region, r);
		assert_int_equal(image_next_data(image, at) == at, !zero);
		assert_int_equal(image_next_hole(image, at) == at, zero);
		at = region.end;
	}
	assert_int_equal(at, image_size(image));
}

static void check_slices(const struct image *image, const struct dump *dump,
			 struct random *r)
{
	static uint8_t got[300000];
	static uint8_t want[300000];

	for (int i = 0; i < 300; i++) {
		/* Half of them where there is something to see. */
		uint64_t at = random_below(r, dump->size);
		uint64_t len = 1 +
			       random_below(r, i % 10 ? 9000 : sizeof(got) - 1);

		if (i % 2)
			at = image_next_data(image, at);
		if (at > 5000 && i % 4 == 1)
			at -= random_below(r, 5000);
		if (len > dump->size - at)
			len = dump->size - at;
		read_image(image, got, len, at);
		assert_int_equal(pread(dump->fd, want, len, (off_t)at), len);
		assert_memory_equal(got, want, len);
	}
}

static void check_same(const struct image *a, const struct image *b)
{
	static uint8_t buf_a[1 << 16];
	static uint8_t buf_b[1 << 16];
	uint64_t at = 0;

	assert_int_equal(image_size(a), image_size(b));
	while ((at = image_next_data(a, at)) < image_size(a)) {
		uint64_t end = image_next_hole(a, at);
		size_t n = end - at < sizeof(buf_a) ? end - at : sizeof(buf_a);

		assert_int_equal(image_next_data(b, at), at);
		assert_int_equal(image_next_hole(b, at), end);
		read_image(a, buf_a, n, at);
		read_image(b, buf_b, n, at);
		assert_memory_equal(buf_a, buf_b, n);
		at += n;
	}
	assert_int_equal(image_next_data(b, at), image_size(a));
}

/* A partition alone, for judges that know no partition table. */
static void copy_partition(const struct dump *dump, uint64_t start,
			   uint64_t size, int fd)
{
	static uint8_t buf[1 << 20];
	off_t at = (off_t)start;
	off_t end = (off_t)(start + size);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	while ((at = lseek(dump->fd, at, SEEK_DATA)) >= 0 && at < end) {
		off_t left = end - at;
		size_t n = left < (off_t)sizeof(buf) ? (size_t)left
						     : sizeof(buf);
		ssize_t got = pread(dump->fd, buf, n, at);

		assert_true(got > 0);
		assert_int_equal(
			pwrite(fd, buf, (size_t)got, at - (off_t)start), got);
		at += got;
	}
}

/* e2fsck -fn can offer a repair and yet be content: its output is read. */
static void judge_e2fsck(int status, int output)
{
	char text[65536];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	if (status != 0 || strstr(text, "? no"))
		fail_msg("e2fsck, status %d:\n%s", status, text);
}

static void run_e2fsck(int fd)
{
	int output = memfd_create("e2fsck", 0);
	char path[64];
	pid_t pid;
	int status;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(output >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
		execlp("e2fsck", "e2fsck", "-fn", path, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	judge_e2fsck(status, output);
	close(output);
}

static void check_e2fsck(const struct dump *dump)
{
	uint8_t table[64];

	assert_int_equal(pread(dump->fd, table, 64, 0x1be), 64);
	for (int i = 0; i < 2; i++) {
		char path[] = "/tmp/dirdisk-part-XXXXXX";
		int fd = mkstemp(path);
		uint32_t start;
		uint32_t count;

		assert_true(fd >= 0);
		unlink(path);
		memcpy(&start, table + i * 16 + 8, 4);
		memcpy(&count, table + i * 16 + 12, 4);
		copy_partition(dump, le32toh(start) * UINT64_C(512),
			       le32toh(count) * UINT64_C(512), fd);
		run_e2fsck(fd);
		close(fd);
	}
}

static void check_tree(uint64_t seed)
{
	struct image *image = make_image(seed, 1);
	struct image *again = make_image(seed, 2);
	struct dump dump = dump_image(image);
	struct random r;

	random_init(&r, seed);
	check_tiling(image, &r);
	check_slices(image, &dump, &r);
	check_same(image, again);
	check_e2fsck(&dump);
	close(dump.fd);
	image_free(image);
	image_free(again);
}

static void test_random_trees(void **state)
{
	uint64_t seed = random_seed();
	unsigned trials = random_trials(60, 2000);

	for (unsigned i = 0; i < trials; i++) {
		fprintf(stderr, "# tree %llu\n",
			(unsigned long long)(seed + i));
		check_tree(seed + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_trees),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
