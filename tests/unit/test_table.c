/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes in front of the first partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/le.h"
#include "base/math.h"
#include "boot/grub.h"
#include "boot/mbr.h"
#include "image/partition.h"
#include "image/table.h"
#include "imgcore/diag.h"

static const uint64_t article[2][2] = {
	{ 2048, 38911 },
	{ 40960, 391167 },
};
#define ARTICLE_SECTORS 409600

/* A table of partitions, [first sector, last sector]. */
static int make(const struct boot_grub *grub, const uint64_t sectors[2][2],
		uint64_t disk_sectors, uint32_t signature,
		const struct table *previous, struct table *ret_table,
		struct diag *diag)
{
	struct partition partitions[2] = { 0 };

	for (size_t i = 0; i < 2; i++) {
		partitions[i].start = sectors[i][0] * SECTOR;
		partitions[i].size = (sectors[i][1] + 1 - sectors[i][0]) *
				     SECTOR;
		partitions[i].active = i == 0;
	}
	return table_init(ret_table, partitions, 2, disk_sectors * SECTOR,
			  signature, grub, previous, diag);
}

#define _cleanup_table_ _cleanup_(table_release)

/* A GRUB of this many bytes of core.img, all of it the byte 0xc5. */
static struct boot_grub *fake_grub(size_t core_size)
{
	struct boot_grub *grub = calloc(1, sizeof(*grub));

	grub->dir_fd = -1;
	grub->core_name = strdup("some/core.img");
	memset(grub->boot, 0xb0, sizeof(grub->boot));
	grub->core_size = core_size;
	grub->core = malloc(core_size);
	memset(grub->core, 0xc5, core_size);
	return grub;
}

static void article_table(void **state)
{
	/* What `parted mklabel msdos mkpart ...` writes for these sectors. */
	static const uint8_t entries[4][16] = {
		{ 0x80, 0x00, 0x01, 0x10, 0x83, 0x03, 0x60, 0x2f, 0x00, 0x08,
		  0x00, 0x00, 0x00, 0x90, 0x00, 0x00 },
		{ 0x00, 0x00, 0x41, 0x40, 0x83, 0x03, 0xe0, 0xff, 0x00, 0xa0,
		  0x00, 0x00, 0x00, 0x58, 0x05, 0x00 },
	};
	_cleanup_table_ struct table table = { 0 };
	const uint8_t *bytes;

	assert_int_equal(make(NULL, article, ARTICLE_SECTORS, 0x12345678, NULL,
			      &table, NULL),
			 0);
	bytes = table.head;
	assert_int_equal(table.head_len, IMAGE_BLOCK);
	assert_int_equal(table.tail_len, 0);
	for (size_t i = 0; i < 0x1b8; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(get_le32(bytes + 0x1b8), 0x12345678);
	assert_int_equal(get_le16(bytes + 0x1bc), 0);
	assert_memory_equal(bytes + 0x1be, entries, sizeof(entries));
	assert_int_equal(get_le16(bytes + 0x1fe), 0xaa55);
	for (size_t i = 512; i < table.head_len; i++)
		assert_int_equal(bytes[i], 0);
}

static void grub_is_patched(void **state)
{
	_cleanup_grub_ struct boot_grub *grub = fake_grub(5 * 512);
	_cleanup_table_ struct table table = { 0 };
	const uint8_t *bytes;

	assert_int_equal(
		make(grub, article, ARTICLE_SECTORS, 1, NULL, &table, NULL), 0);
	bytes = table.head;
	assert_int_equal(table.head_len, IMAGE_BLOCK);
	assert_int_equal(bytes[0], 0xb0);
	assert_int_equal(bytes[0x5b], 0xb0);
	assert_int_equal(get_le64(bytes + 0x5c), 1);
	assert_int_equal(bytes[0x64], 0xff);
	assert_int_equal(bytes[0x65], 0xb0);
	assert_int_equal(get_le16(bytes + 0x66), 0x9090);
	assert_int_equal(bytes[0x68], 0xb0);
	assert_int_equal(bytes[0x1b7], 0xb0);
	/* Nothing of boot.img is left where the table is. */
	for (size_t i = 0x1bc; i < 0x1fe; i++)
		assert_int_not_equal(bytes[i], 0xb0);
	assert_int_equal(bytes[512 + 0x1f3], 0xc5);
	assert_int_equal(get_le64(bytes + 512 + 0x1f4), 2);
	assert_int_equal(get_le16(bytes + 512 + 0x1fc), 4);
	assert_int_equal(get_le16(bytes + 512 + 0x1fe), 0x0820);
	assert_int_equal(bytes[1024], 0xc5);
	assert_int_equal(bytes[6 * 512 - 1], 0xc5);
	for (size_t i = 6 * 512; i < table.head_len; i++)
		assert_int_equal(bytes[i], 0);
}

static void same_bytes_twice(void **state)
{
	_cleanup_table_ struct table a = { 0 };
	_cleanup_table_ struct table b = { 0 };

	assert_int_equal(
		make(NULL, article, ARTICLE_SECTORS, 7, NULL, &a, NULL), 0);
	assert_int_equal(
		make(NULL, article, ARTICLE_SECTORS, 7, NULL, &b, NULL), 0);
	assert_int_equal(a.head_len, b.head_len);
	assert_memory_equal(a.head, b.head, a.head_len);
	table_release(&b);
	/* The table of the first, and a signature of its own. */
	assert_int_equal(make(NULL, article, ARTICLE_SECTORS, 8, &a, &b, NULL),
			 0);
	assert_memory_equal(a.head + 0x1be, b.head + 0x1be, 512 - 0x1be);
	assert_int_equal(b.head[0x1b8], 8);
}

static void assert_refused(const struct boot_grub *grub,
			   const uint64_t sectors[2][2], uint64_t disk_sectors,
			   int err, const char *word)
{
	struct diag diag = DIAG_INIT;
	struct table table = { 0 };

	assert_int_equal(
		make(grub, sectors, disk_sectors, 1, NULL, &table, &diag), err);
	assert_null(table.head);
	assert_non_null(diag.path);
	assert_non_null(diag.reason);
	if (!strstr(diag.reason, word))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, word);
	diag_clear(&diag);
}

static void core_must_fit(void **state)
{
	_cleanup_grub_ struct boot_grub *fits = fake_grub(2047 * 512);
	_cleanup_grub_ struct boot_grub *does_not = fake_grub(2048 * 512);
	_cleanup_table_ struct table table = { 0 };

	assert_int_equal(
		make(fits, article, ARTICLE_SECTORS, 1, NULL, &table, NULL), 0);
	assert_int_equal(table.head_len, 2048 * 512);
	assert_refused(does_not, article, ARTICLE_SECTORS, -EFBIG, "2047");
}

static void limit_of_the_table(void **state)
{
	static const uint64_t large[2][2] = {
		{ 2048, 4096 },
		{ 8192, UINT32_MAX - 1 },
	};
	_cleanup_table_ struct table table = { 0 };
	const uint8_t *bytes;

	assert_int_equal(make(NULL, large, UINT32_MAX, 1, NULL, &table, NULL),
			 0);
	bytes = table.head;
	assert_int_equal(get_le32(bytes + 0x1be + 16 + 8), 8192);
	assert_int_equal(get_le32(bytes + 0x1be + 16 + 12), UINT32_MAX - 8192);
	assert_refused(NULL, large, (uint64_t)UINT32_MAX + 1, -EFBIG, "2 TiB");
}

static void impossible_partitions(void **state)
{
	static const uint64_t bad[][2][2] = {
		{ { 0, 10 }, { 11, 20 } },   { { 10, 9 }, { 11, 20 } },
		{ { 2, 11 }, { 11, 20 } },   { { 2, 10 }, { 11, 100 } },
		{ { 2, 10 }, { 101, 110 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(NULL, bad[i], 100, -EINVAL, "partition");
}

static void *table_again(void *arg)
{
	for (unsigned i = 0; i < 20; i++) {
		struct table table;

		if (make(NULL, article, ARTICLE_SECTORS, 1, NULL, &table,
			 NULL) < 0)
			return arg;
		table_release(&table);
	}
	return NULL;
}

static void several_threads(void **state)
{
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, table_again, threads),
			0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(article_table),
		cmocka_unit_test(grub_is_patched),
		cmocka_unit_test(same_bytes_twice),
		cmocka_unit_test(core_must_fit),
		cmocka_unit_test(limit_of_the_table),
		cmocka_unit_test(impossible_partitions),
		cmocka_unit_test(several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
