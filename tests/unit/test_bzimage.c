/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files are kernels, whole ones, that GRUB can start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/seeds.h"
#include "base/le.h"
#include "boot/bzimage.h"
#include "boot_tree.h"

/* Reads these bytes as a kernel; the caller frees what it is given. */
static char *reason_of(const uint8_t *bytes, size_t len,
		       struct kernel_image *ret_image)
{
	const struct file files[] = {
		{ "k", .bytes = bytes, .len = len },
		{ NULL },
	};
	struct tree *tree = files_tree(files);
	char *reason;

	assert_int_equal(bzimage_read(tree, tree_find(tree, "k"), ret_image,
				      &reason, NULL),
			 0);
	tree_free(tree);
	return reason;
}

static void assert_reason(const uint8_t *bytes, size_t len, const char *words)
{
	struct kernel_image image;
	_cleanup_free_ char *reason = reason_of(bytes, len, &image);

	if (!words && reason)
		fail_msg("%s", reason);
	if (words && (!reason || !strstr(reason, words)))
		fail_msg("\"%s\" does not say \"%s\"", reason, words);
	assert_true(!words || !image.version);
	free(image.version);
}

static void whole(void **state)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes =
		kernel_bytes("6.9.0-rc1+ (me@here) #1 SMP", 100000, &len);
	_cleanup_free_ char *longer = calloc(1, len + 4096);
	struct kernel_image image;

	assert_null(reason_of(bytes, len, &image));
	assert_string_equal(image.version, "6.9.0-rc1+");
	assert_int_equal(image.cmdline_size, 2047);
	free(image.version);
	/* A signature behind it is no harm. */
	memcpy(longer, bytes, len);
	assert_reason((uint8_t *)longer, len + 4096, NULL);
}

/* However much is missing, down to the first byte. */
static void truncated_anywhere(void **state)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = kernel_bytes("6.9", 5000, &len);
	char words[64];

	for (size_t n = 0x240; n < len; n++) {
		snprintf(words, sizeof(words), "truncated: %zu of %zu bytes", n,
			 len);
		assert_reason(bytes, n, words);
	}
	for (size_t n = 1; n < 0x240; n++)
		assert_reason(bytes, n, "truncated: ");
	assert_reason(bytes, 0, "empty");
	assert_reason(bytes, len, NULL);
}

struct change {
	size_t offset;
	size_t len;
	uint32_t value;
	const char *words; /* NULL: it is a kernel still */
};

static void headers(void **state)
{
	static const struct change changes[] = {
		{ 0, 4, 0x464c457f, "ELF: use bzImage" },
		{ 0x1fe, 2, 0, "no boot flag" },
		{ 0x202, 4, 0x53726449, "HdrS" },
		{ 0x206, 2, 0x0202, "boot protocol 2.02" },
		{ 0x206, 2, 0x0203, NULL },
		{ 0x211, 1, 0, "zImage" },
		{ 0x1f1, 1, 65, "65 sectors" },
		{ 0x1f4, 4, 0xffffffff, "truncated" },
		/* 0 is 4, as the kernel's own loaders had it. */
		{ 0x1f1, 1, 0, NULL },
		{ 0x1f1, 1, 5, "truncated" },
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *c = &changes[i];
		size_t len;
		_cleanup_free_ uint8_t *bytes = kernel_bytes("6.9", 0, &len);
		uint8_t value[4];

		put_le32(value, c->value);
		memcpy(bytes + c->offset, value, c->len);
		assert_reason(bytes, len, c->words);
	}
}

/* Before 2.04 the size has 16 bits, and other things behind it. */
static void old_protocol(void **state)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = kernel_bytes("2.6.9", 0, &len);

	put_le16(bytes + 0x206, 0x0203);
	put_le32(bytes + 0x1f4, 0xffff7fff);
	assert_reason(bytes, len, NULL);
	assert_reason(bytes, 5 * 512, "truncated: 2560 of 2561");
}

static void cmdline_sizes(void **state)
{
	static const struct {
		unsigned protocol;
		uint32_t value;
		uint32_t size;
	} cases[] = {
		{ 0x020f, 2047, 2047 }, { 0x0206, 4095, 4095 },
		{ 0x0206, 10, 127 },	{ 0x0206, 0xffffffff, 0xffffffff },
		{ 0x0205, 4095, 255 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		_cleanup_free_ uint8_t *bytes = kernel_bytes(NULL, 0, &len);
		struct kernel_image image;

		put_le16(bytes + 0x206, (uint16_t)cases[i].protocol);
		put_le32(bytes + 0x238, cases[i].value);
		assert_null(reason_of(bytes, len, &image));
		assert_null(image.version);
		assert_int_equal(image.cmdline_size, cases[i].size);
	}
}

/* A version that is none leaves a kernel without. */
static void versions(void **state)
{
	static const struct {
		unsigned offset; /* from 0x200 on */
		const char *text; /* there */
		const char *version;
	} cases[] = {
		{ 0x100, "6.9 x", "6.9" }, { 0x100, "6.9", "6.9" },
		{ 0x100, "", NULL },	   { 0x100, " 6.9", NULL },
		{ 0, "6.9", NULL },	   { 5 * 512 - 0x200, "6.9", NULL },
		{ 0xffff, "6.9", NULL },
	};
	static const char endless[] =
		"................................................................"
		"................................................................"
		"................................................................"
		"................................................................"
		"................................................................";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		_cleanup_free_ uint8_t *bytes = kernel_bytes(cases[i].text, 0,
							     &len);
		struct kernel_image image;

		put_le16(bytes + 0x20e, (uint16_t)cases[i].offset);
		assert_null(reason_of(bytes, len, &image));
		if (cases[i].version)
			assert_string_equal(image.version, cases[i].version);
		else
			assert_null(image.version);
		free(image.version);
	}
	{
		size_t len;
		_cleanup_free_ uint8_t *bytes = kernel_bytes(endless, 0, &len);
		struct kernel_image image;

		assert_null(reason_of(bytes, len, &image));
		assert_null(image.version);
	}
}

/* Whatever is there: an answer. */
static void any_bytes(void **state)
{
	unsigned seed = (unsigned)seed_draw();

	for (unsigned i = 0; i < 20000; i++) {
		size_t len;
		_cleanup_free_ uint8_t *bytes = kernel_bytes("6.9", 3000, &len);
		struct kernel_image image;

		for (unsigned n = 0; n < 6; n++)
			bytes[0x1f0 + (unsigned)rand_r(&seed) % 0x50] =
				(uint8_t)rand_r(&seed);
		free(reason_of(bytes, (unsigned)rand_r(&seed) % (len + 1),
			       &image));
		free(image.version);
	}
}

static void assert_steps(size_t size, size_t step)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = kernel_bytes("6.9", size, &len);

	for (size_t n = 0, last = 0; !last; n += step) {
		size_t there = n < len ? n : len;
		const struct file files[] = {
			{ "kernels/vmlinuz-6.9", .bytes = bytes, .len = there },
			{ "kernels/mine/bzImage", .bytes = bytes,
			  .len = there },
			{ "boot/vmlinuz", .bytes = bytes, .len = there },
			{ "x/linux", .bytes = bytes, .len = there },
			{ "loader/entries/x.conf", .text = "linux /x/linux" },
			{ NULL },
		};
		_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries),
				 there == len ? 4 : 0);
		last = there == len;
	}
}

/* A kernel of 4 MiB that is just being written is in no menu. */
static void half_written(void **state)
{
	assert_steps(4u << 20, 64u << 10);
	assert_steps((4u << 20) + 4711, 64u << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(truncated_anywhere),
		cmocka_unit_test(headers),
		cmocka_unit_test(old_protocol),
		cmocka_unit_test(cmdline_sizes),
		cmocka_unit_test(versions),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(half_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
