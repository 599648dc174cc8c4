/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACLs between the form that Linux hands out and the one that ext2 keeps. */
#include "support.h"

#include "tree/xattr_set.h"

#define ALL 0xff, 0xff, 0xff, 0xff /* the id of an entry that has none */

/* u::rwx u:1000:rw- g::r-x g:70000:r-- m::rwx o::r-- */
static const uint8_t handed_out[] = {
	2,    0, 0,    0, /* version */
	0x01, 0, 0x07, 0, ALL, /* owner */
	0x02, 0, 0x06, 0, 0xe8, 0x03, 0,    0, /* user 1000 */
	0x04, 0, 0x05, 0, ALL, /* group */
	0x08, 0, 0x04, 0, 0x70, 0x11, 0x01, 0, /* group 70000 */
	0x10, 0, 0x07, 0, ALL, /* mask */
	0x20, 0, 0x04, 0, ALL, /* others */
};

static const uint8_t kept[] = {
	1,    0, 0,    0, /* version */
	0x01, 0, 0x07, 0, /* owner */
	0x02, 0, 0x06, 0, 0xe8, 0x03, 0,    0, /* user 1000 */
	0x04, 0, 0x05, 0, /* group */
	0x08, 0, 0x04, 0, 0x70, 0x11, 0x01, 0, /* group 70000 */
	0x10, 0, 0x07, 0, /* mask */
	0x20, 0, 0x04, 0, /* others */
};

static void known_bytes(void **state)
{
	uint8_t is[sizeof(handed_out)];

	assert_int_equal(xattr_set_keep_acl(handed_out, sizeof(handed_out), is),
			 sizeof(kept));
	assert_memory_equal(is, kept, sizeof(kept));
}

static void empty_is_an_acl(void **state)
{
	uint8_t is[4];

	assert_int_equal(xattr_set_keep_acl(handed_out, 4, is), 4);
	assert_memory_equal(is, kept, 4);
}

/* One byte of it changed. */
static void assert_refused(size_t at, uint8_t byte)
{
	uint8_t acl[sizeof(handed_out)];
	uint8_t is[sizeof(handed_out)];

	memcpy(acl, handed_out, sizeof(acl));
	acl[at] = byte;
	assert_int_equal(xattr_set_keep_acl(acl, sizeof(acl), is), -EINVAL);
}

static void what_is_none(void **state)
{
	uint8_t is[sizeof(handed_out)];

	for (size_t len = 0; len < sizeof(handed_out); len++) {
		if (len % 8 != 4)
			assert_int_equal(
				xattr_set_keep_acl(handed_out, len, is),
				-EINVAL);
	}
	assert_refused(0, 1); /* the kept form's version */
	assert_refused(3, 1);
	assert_refused(4, 3); /* a tag */
	assert_refused(4, 0);
	assert_refused(5, 1);
	assert_refused(6, 8); /* a permission */
	assert_refused(7, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_bytes),
		cmocka_unit_test(empty_is_an_acl),
		cmocka_unit_test(what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
