/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole reads and writes, and the little-endian fields. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/le.h"

static int memory_file(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_sys(fd);
	assert_ok(io_pwrite(fd, text, strlen(text), 0));
	return fd;
}

static void reads_what_there_is(void **state)
{
	_cleanup_close_ int fd = memory_file("hello, world");
	char buf[32] = "";

	assert_int_equal(io_pread(fd, buf, sizeof(buf), 0), 12);
	assert_memory_equal(buf, "hello, world", 12);
	assert_int_equal(io_pread(fd, buf, 5, 7), 5);
	assert_memory_equal(buf, "world", 5);
	assert_int_equal(io_pread(fd, buf, 5, 12), 0);
	assert_int_equal(io_pread(fd, buf, 5, UINT64_C(1) << 40), 0);
	assert_int_equal(io_pread(fd, buf, 0, 0), 0);
}

static void errors_are_negative(void **state)
{
	_cleanup_close_ int dir = open("/", O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int read_only = open("/dev/null", O_RDONLY);
	uint8_t *bytes = NULL;
	size_t len = 99;
	char c = 0;

	assert_int_equal(io_pread(-1, &c, 1, 0), -EBADF);
	assert_int_equal(io_pread(dir, &c, 1, 0), -EISDIR);
	assert_int_equal(io_pwrite(read_only, &c, 1, 0), -EBADF);
	assert_int_equal(io_pwrite(read_only, &c, 0, 0), 0);
	assert_int_equal(io_read_file(dir, 100, &bytes, &len), -EISDIR);
	assert_null(bytes);
	assert_int_equal(len, 99);
}

static void full_device(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY);

	assert_sys(fd);
	assert_int_equal(io_pwrite(fd, "x", 1, 0), -ENOSPC);
}

static void large_offsets(void **state)
{
	_cleanup_close_ int fd = memory_file("");
	char buf[4] = "";

	assert_ok(io_pwrite(fd, "end", 3, UINT64_C(5) << 32));
	assert_int_equal(io_pread(fd, buf, 4, UINT64_C(5) << 32), 3);
	assert_memory_equal(buf, "end", 3);
}

static void whole_files(void **state)
{
	static const size_t sizes[] = { 0,     1,      65535, 65536,
					65537, 131072, 300001 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_close_ int fd = memory_file("");
		_cleanup_free_ uint8_t *bytes = NULL;
		_cleanup_free_ char *text = calloc(1, sizes[i] + 1);
		size_t len;

		for (size_t k = 0; k < sizes[i]; k++)
			text[k] = (char)(k * 7 + k / 251);
		assert_ok(io_pwrite(fd, text, sizes[i], 0));
		assert_ok(io_read_file(fd, sizes[i], &bytes, &len));
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(bytes, text, len);
	}
}

static void limit_of_a_whole_file(void **state)
{
	_cleanup_close_ int fd = memory_file("12345");
	uint8_t *bytes = NULL;
	size_t len = 99;

	assert_int_equal(io_read_file(fd, 4, &bytes, &len), -EFBIG);
	assert_null(bytes);
	assert_int_equal(len, 99);
}

static void little_endian_at_any_place(void **state)
{
	uint8_t buf[16] = { 0 };

	put_le16(buf + 1, 0x0201);
	put_le32(buf + 3, 0x06050403);
	put_le64(buf + 7, UINT64_C(0x0e0d0c0b0a090807));
	for (unsigned i = 1; i < 15; i++)
		assert_int_equal(buf[i], i);
	assert_int_equal(get_le16(buf + 1), 0x0201);
	assert_int_equal(get_le32(buf + 3), 0x06050403);
	assert_int_equal(get_le64(buf + 7), UINT64_C(0x0e0d0c0b0a090807));
}

static void rounding(void **state)
{
	assert_int_equal(div_up(0, 4096), 0);
	assert_int_equal(div_up(1, 4096), 1);
	assert_int_equal(div_up(4096, 4096), 1);
	assert_int_equal(div_up(UINT64_MAX, 2), UINT64_C(1) << 63);
	assert_int_equal(round_up(4097, 4096), 8192);
	assert_int_equal(round_down(8191, 4096), 4096);
	assert_int_equal(round_down(UINT64_MAX, 4096), UINT64_MAX - 4095);
	assert_int_equal(min_u64(1, 2), 1);
	assert_int_equal(max_u64(1, 2), 2);
}

/* ---- writers ---- */

static void writers_are_known(void **state)
{
	const struct temp *t = *state;
	_cleanup_close_ int fd = -1;
	int other;
	char *map;

	put_text(t->fd, "file", "text");
	fd = openat(t->fd, "file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_has_writer(fd), 0);
	other = openat(t->fd, "file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_has_writer(fd), 0);
	close(other);
	other = openat(t->fd, "file", O_RDWR | O_CLOEXEC);
	assert_int_equal(io_has_writer(fd), 1);
	map = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(other);
	assert_int_equal(io_has_writer(fd), 1);
	munmap(map, 4);
	assert_int_equal(io_has_writer(fd), 0);
	/* It is asked, and nothing else. */
	assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);
	assert_true(io_has_writer(-1) < 0);
}

struct prober {
	int fd;
	atomic_bool stop;
	atomic_uint found;
};

static void *probe(void *context)
{
	struct prober *p = context;

	while (!atomic_load(&p->stop))
		atomic_fetch_add(&p->found, io_has_writer(p->fd) == 1);
	return NULL;
}

/* Writers are let in at once, and no signal ends anybody. */
static void writers_come_while_it_is_asked(void **state)
{
	const struct temp *t = *state;
	struct prober p = { 0 };
	pthread_t threads[4];
	struct timespec begin, end;

	put_text(t->fd, "file", "text");
	p.fd = openat(t->fd, "file", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, probe, &p),
				 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (unsigned i = 0; i < 2000 || atomic_load(&p.found) == 0; i++)
		base_closep(
			&(int){ openat(t->fd, "file", O_WRONLY | O_CLOEXEC) });
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* A lease that was left would hold the first one up for 45 s. */
	assert_true(end.tv_sec - begin.tv_sec < 40);
	atomic_store(&p.stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fcntl(p.fd, F_GETLEASE), F_UNLCK);
	close(p.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_there_is),
		cmocka_unit_test(errors_are_negative),
		cmocka_unit_test(full_device),
		cmocka_unit_test(large_offsets),
		cmocka_unit_test(whole_files),
		cmocka_unit_test(limit_of_a_whole_file),
		cmocka_unit_test(little_endian_at_any_place),
		cmocka_unit_test(rounding),
		temp_test(writers_are_known),
		temp_test(writers_come_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
