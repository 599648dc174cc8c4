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
#include "imgcore/boot.h"
#include "imgcore/diag.h"

static const struct boot_partition article[2] = {
	{ 2048, 38911 },
	{ 40960, 391167 },
};
#define ARTICLE_SECTORS 409600

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
	uint8_t *bytes;
	size_t len;

	assert_int_equal(boot_mbr(NULL, article, ARTICLE_SECTORS, 0x12345678,
				  NULL, &bytes, &len, NULL),
			 0);
	assert_int_equal(len, 512);
	for (size_t i = 0; i < 0x1b8; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(get_le32(bytes + 0x1b8), 0x12345678);
	assert_int_equal(get_le16(bytes + 0x1bc), 0);
	assert_memory_equal(bytes + 0x1be, entries, sizeof(entries));
	assert_int_equal(get_le16(bytes + 0x1fe), 0xaa55);
	free(bytes);
}

static void grub_is_patched(void **state)
{
	_cleanup_grub_ struct boot_grub *grub = fake_grub(5 * 512);
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len;

	assert_int_equal(boot_mbr(grub, article, ARTICLE_SECTORS, 1, NULL,
				  &bytes, &len, NULL),
			 0);
	assert_int_equal(len, 6 * 512);
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
	assert_int_equal(bytes[len - 1], 0xc5);
}

static void same_bytes_twice(void **state)
{
	uint8_t *a, *b;
	size_t len;

	assert_int_equal(boot_mbr(NULL, article, ARTICLE_SECTORS, 7, NULL, &a,
				  &len, NULL),
			 0);
	assert_int_equal(boot_mbr(NULL, article, ARTICLE_SECTORS, 7, NULL, &b,
				  &len, NULL),
			 0);
	assert_memory_equal(a, b, len);
	free(b);
	/* The table of the first, and a signature of its own. */
	assert_int_equal(
		boot_mbr(NULL, article, ARTICLE_SECTORS, 8, a, &b, &len, NULL),
		0);
	assert_memory_equal(a + 0x1be, b + 0x1be, 512 - 0x1be);
	assert_int_equal(b[0x1b8], 8);
	free(a);
	free(b);
}

static void assert_refused(const struct boot_grub *grub,
			   const struct boot_partition partitions[2],
			   uint64_t sectors, int err, const char *word)
{
	struct diag diag = DIAG_INIT;
	uint8_t *bytes = NULL;
	size_t len;

	assert_int_equal(boot_mbr(grub, partitions, sectors, 1, NULL, &bytes,
				  &len, &diag),
			 err);
	assert_null(bytes);
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
	uint8_t *bytes;
	size_t len;

	assert_int_equal(boot_mbr(fits, article, ARTICLE_SECTORS, 1, NULL,
				  &bytes, &len, NULL),
			 0);
	assert_int_equal(len, 2048 * 512);
	free(bytes);
	assert_refused(does_not, article, ARTICLE_SECTORS, -EFBIG, "2047");
}

static void limit_of_the_table(void **state)
{
	struct boot_partition large[2] = {
		{ 2048, 4096 },
		{ 8192, UINT32_MAX - 1 },
	};
	uint8_t *bytes;
	size_t len;

	assert_int_equal(
		boot_mbr(NULL, large, UINT32_MAX, 1, NULL, &bytes, &len, NULL),
		0);
	assert_int_equal(get_le32(bytes + 0x1be + 16 + 8), 8192);
	assert_int_equal(get_le32(bytes + 0x1be + 16 + 12), UINT32_MAX - 8192);
	free(bytes);
	assert_refused(NULL, large, (uint64_t)UINT32_MAX + 1, -EFBIG, "2 TiB");
}

static void impossible_partitions(void **state)
{
	static const struct boot_partition bad[][2] = {
		{ { 0, 10 }, { 11, 20 } },
		{ { 10, 9 }, { 11, 20 } },
		{ { 2, 11 }, { 11, 20 } },
		{ { 2, 10 }, { 11, 100 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(NULL, bad[i], 100, -EINVAL, "partition");
}

static void *mbr_again(void *arg)
{
	for (unsigned i = 0; i < 20; i++) {
		uint8_t *bytes;
		size_t len;

		if (boot_mbr(NULL, article, ARTICLE_SECTORS, 1, NULL, &bytes,
			     &len, NULL) < 0)
			return arg;
		free(bytes);
	}
	return NULL;
}

static void several_threads(void **state)
{
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, mbr_again, threads),
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
