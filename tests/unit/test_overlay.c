/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a guest writes, against a plain array of bytes: any reads and writes in
 * any order, the map of data and holes, and what is left behind: nothing.
 */
#include "support_overlay.h"

static uint64_t seed;

/* A disk, and what must be read from it. */
struct model {
	struct disk disk;
	uint64_t size;
	uint8_t *bytes;
	bool *written; /* by block */
	bool *data; /* of the image, by sector */
};

static void model_release(struct model *m)
{
	disk_release(&m->disk);
	free(m->bytes);
	free(m->written);
	free(m->data);
}

#define _cleanup_model_ _cleanup_(model_release)

static void model_init(struct model *m, uint64_t size, int tmp_fd)
{
	struct region r;

	*m = (struct model){ .size = size };
	disk_init(&m->disk, size, tmp_fd, NULL);
	m->bytes = malloc(size);
	m->written = calloc(size / BLOCK + 1, sizeof(bool));
	m->data = calloc(size / 512, sizeof(bool));
	assert_ok(image_pread(m->disk.image, m->bytes, size, 0, NULL));
	for (uint64_t at = 0; at < size; at = r.end) {
		image_region_at(m->disk.image, at, &r);
		for (uint64_t s = r.start / 512; s < r.end / 512; s++)
			m->data[s] = r.kind != REGION_ZERO;
	}
}

static void model_write(struct model *m, uint64_t offset, const void *buf,
			size_t len)
{
	assert_ok(overlay_pwrite(m->disk.overlay, buf, len, offset, NULL));
	if (len == 0)
		return;
	memcpy(m->bytes + offset, buf, len);
	for (uint64_t b = offset / BLOCK; b < div_up(offset + len, BLOCK); b++)
		m->written[b] = true;
}

static void check_read(const struct model *m, uint64_t offset, size_t len)
{
	_cleanup_free_ uint8_t *buf = malloc(len + 1);

	buf[len] = 0xa5;
	assert_ok(overlay_pread(m->disk.overlay, buf, len, offset, NULL));
	assert_memory_equal(buf, m->bytes + offset, len);
	assert_int_equal(buf[len], 0xa5);
}

/* ---- a random guest ---- */

/* Sectors, blocks, and what no disk would be asked for. */
static void random_range(const struct model *m, uint64_t most, uint64_t *offset,
			 size_t *len)
{
	static const uint32_t units[] = { 1, 512, BLOCK };
	uint32_t unit = units[random_below(&seed, ARRAY_SIZE(units))];
	uint64_t limit = random_below(&seed, 3) ? most : BLOCK;

	*offset = random_below(&seed, m->size) / unit * unit;
	/* The end is where disks are odd. */
	if (random_below(&seed, 8) == 0)
		*offset = m->size -
			  min_u64(m->size, random_below(&seed, 3 * BLOCK));
	*len = round_up(random_below(&seed, limit), unit);
	*len = min_u64(*len, m->size - *offset);
}

static void random_write(struct model *m, uint64_t most)
{
	uint64_t offset;
	size_t len;
	_cleanup_free_ uint8_t *buf = NULL;

	random_range(m, most, &offset, &len);
	buf = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)random_next(&seed);
	model_write(m, offset, buf, len);
}

static bool is_data(const struct model *m, uint64_t offset)
{
	return m->written[offset / BLOCK] || m->data[offset / 512];
}

static uint64_t naive_next(const struct model *m, uint64_t offset, bool data)
{
	while (offset < m->size && is_data(m, offset) != data)
		offset = offset / 512 * 512 + 512;
	return min_u64(offset, m->size);
}

static void check_map(const struct model *m)
{
	uint64_t written = 0;
	struct overlay *o = m->disk.overlay;

	for (uint64_t b = 0; b < div_up(m->size, BLOCK); b++)
		written += m->written[b];
	assert_int_equal(overlay_data_size(o), written * BLOCK);
	for (int i = 0; i < 40; i++) {
		uint64_t at = random_below(&seed, m->size);

		assert_int_equal(overlay_next_data(o, at),
				 naive_next(m, at, true));
		assert_int_equal(overlay_next_hole(o, at),
				 naive_next(m, at, false));
	}
	for (uint64_t at = 0; at < m->size;) {
		uint64_t hole = overlay_next_hole(o, at);

		assert_int_equal(hole, naive_next(m, at, false));
		at = overlay_next_data(o, hole);
		assert_int_equal(at, naive_next(m, hole, true));
	}
	assert_int_equal(overlay_next_data(o, m->size), m->size);
	assert_int_equal(overlay_next_hole(o, m->size), m->size);
	assert_int_equal(overlay_next_data(o, UINT64_MAX), m->size);
	assert_int_equal(overlay_next_hole(o, UINT64_MAX), m->size);
}

static void random_guest(const struct temp *t, uint64_t size, int steps)
{
	_cleanup_model_ struct model m;

	model_init(&m, size, t->fd);
	check_map(&m);
	check_read(&m, 0, size);
	for (int i = 0; i < steps; i++) {
		uint64_t offset;
		size_t len;

		if (random_below(&seed, 2)) {
			random_write(&m, 20000);
		} else {
			random_range(&m, 100000, &offset, &len);
			check_read(&m, offset, len);
		}
		if (i % 50 == 0)
			check_map(&m);
		if (i % 100 == 0)
			assert_ok(overlay_flush(m.disk.overlay, NULL));
	}
	check_map(&m);
	check_read(&m, 0, size);
}

static void random_guests(void **state)
{
	static const uint64_t sizes[] = { MIB(6), MIB(6) + 512,
					  MIB(6) + 7 * 512 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		random_guest(*state, sizes[i], 400);
}

/* Past the blocks that one page of the bitmap tells of. */
static void random_guest_of_a_large_disk(void **state)
{
	random_guest(*state, MIB(300) + 512, 60);
}

/*
 * A page of the bitmap tells of 128 MiB. What stands at the beginning of the
 * next one is found from within one that was never made.
 */
static void from_page_to_page(void **state)
{
	const struct temp *t = *state;
	_cleanup_model_ struct model m;

	model_init(&m, MIB(300), t->fd);
	model_write(&m, MIB(128), "next", 4);
	assert_int_equal(overlay_next_data(m.disk.overlay, MIB(60)), MIB(128));
	check_map(&m);
	check_read(&m, MIB(127), MIB(2));
	model_write(&m, MIB(128) - 4096, "last", 4);
	check_map(&m);
	check_read(&m, MIB(127), MIB(2));
}

/* ---- edges ---- */

static void bounds(void **state)
{
	const struct temp *t = *state;
	_cleanup_model_ struct model m;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	uint8_t buf[BLOCK] = { 1 };

	model_init(&m, MIB(6) + 512, t->fd);
	for (int written = 0; written < 2; written++) {
		struct overlay *o = m.disk.overlay;

		assert_int_equal(overlay_pread(o, buf, 1, m.size, &diag),
				 -EINVAL);
		assert_int_equal(overlay_pread(o, buf, 513, m.size - 512, NULL),
				 -EINVAL);
		assert_int_equal(overlay_pread(o, buf, 2, UINT64_MAX, NULL),
				 -EINVAL);
		assert_int_equal(overlay_pread(o, buf, SIZE_MAX, 1, NULL),
				 -EINVAL);
		assert_ok(overlay_pread(o, buf, 0, m.size, NULL));
		assert_int_equal(overlay_pwrite(o, buf, 1, m.size, &diag),
				 -ENOSPC);
		assert_contains(diag.reason, "end");
		assert_int_equal(
			overlay_pwrite(o, buf, 513, m.size - 512, NULL),
			-ENOSPC);
		assert_int_equal(overlay_pwrite(o, buf, 2, UINT64_MAX, NULL),
				 -ENOSPC);
		assert_int_equal(overlay_pwrite(o, buf, SIZE_MAX, 1, NULL),
				 -ENOSPC);
		model_write(&m, m.size - 1, "!", 1);
	}
	check_read(&m, m.size - 5000, 5000);
	check_map(&m);
}

/* A write of nothing at the end is none. */
static void nothing_is_written_of_nothing(void **state)
{
	const struct temp *t = *state;
	_cleanup_model_ struct model m;

	model_init(&m, MIB(6), t->fd);
	assert_ok(overlay_pwrite(m.disk.overlay, "", 0, 5, NULL));
	assert_ok(overlay_pwrite(m.disk.overlay, "", 0, m.size, NULL));
	assert_ok(overlay_flush(m.disk.overlay, NULL));
	assert_int_equal(overlay_data_size(m.disk.overlay), 0);
	check_map(&m);
}

/* ---- what is left ---- */

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void nothing_is_left(void **state)
{
	const struct temp *t = *state;
	_cleanup_model_ struct model m;
	int before = count_entries("/proc/self/fd");

	model_init(&m, MIB(6), t->fd);
	check_read(&m, 0, m.size);
	assert_ok(overlay_flush(m.disk.overlay, NULL));
	/* Its copy of the directory's descriptor, and no file yet. */
	assert_int_equal(count_entries("/proc/self/fd"), before + 1);
	assert_int_equal(count_entries(t->path), 0);
	model_write(&m, 100, "hello", 5);
	assert_int_equal(count_entries("/proc/self/fd"), before + 2);
	assert_int_equal(count_entries(t->path), 0);
	overlay_free(m.disk.overlay);
	m.disk.overlay = NULL;
	overlay_free(NULL);
	assert_int_equal(count_entries("/proc/self/fd"), before);
	assert_int_equal(count_entries(t->path), 0);
}

/* Each overlay is its own. */
static void two_overlays(void **state)
{
	const struct temp *t = *state;
	_cleanup_model_ struct model m;
	_cleanup_overlay_ struct overlay *other = NULL;
	uint8_t buf[16];

	model_init(&m, MIB(6), t->fd);
	assert_ok(overlay_new(&other, m.disk.image, t->fd, NULL));
	assert_ok(overlay_pwrite(other, "other", 5, 4096, NULL));
	check_read(&m, 0, m.size);
	model_write(&m, 4096, "first", 5);
	assert_ok(overlay_pread(other, buf, 5, 4096, NULL));
	assert_memory_equal(buf, "other", 5);
}

static void directory_that_takes_no_file(void **state)
{
	_cleanup_close_ int fd = open("/proc", O_RDONLY | O_DIRECTORY);
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_model_ struct model m;
	struct overlay *none = NULL;

	model_init(&m, MIB(6), fd);
	assert_true(overlay_pwrite(m.disk.overlay, "x", 1, 0, &diag) < 0);
	assert_string_equal(diag.path, "TMPDIR");
	assert_int_equal(overlay_data_size(m.disk.overlay), 0);
	check_read(&m, 0, m.size);
	assert_ok(overlay_flush(m.disk.overlay, NULL));
	assert_int_equal(overlay_new(&none, m.disk.image, -1, NULL), -EBADF);
	assert_null(none);
}

/* ---- over host files ---- */

/* Part of a block needs the rest of it; the whole of it needs nothing. */
static void over_a_file_that_changed(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	_cleanup_overlay_ struct overlay *o = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	uint8_t block[BLOCK], buf[BLOCK];
	uint64_t at;

	put_text(t->fd, "file", "bytes");
	image = image_of_host(t->fd);
	assert_ok(overlay_new(&o, image, t->fd, NULL));
	at = find_on_disk(image, 2, must_find(image_tree(image, 1), "file"), 0);
	put_text(t->fd, "file", "others!");
	assert_int_equal(overlay_pwrite(o, "x", 1, at + 1, &diag), -ESTALE);
	assert_string_equal(diag.path, "/src/file");
	assert_int_equal(overlay_data_size(o), 0);
	memset(block, 'w', sizeof(block));
	assert_ok(overlay_pwrite(o, block, BLOCK, at, NULL));
	assert_ok(overlay_pwrite(o, "x", 1, at + 1, NULL));
	block[1] = 'x';
	assert_ok(overlay_pread(o, buf, BLOCK, at, NULL));
	assert_memory_equal(buf, block, BLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(random_guests),
		temp_test(random_guest_of_a_large_disk),
		temp_test(from_page_to_page),
		temp_test(bounds),
		temp_test(nothing_is_written_of_nothing),
		temp_test(nothing_is_left),
		temp_test(two_overlays),
		temp_test(directory_that_takes_no_file),
		temp_test(over_a_file_that_changed),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
