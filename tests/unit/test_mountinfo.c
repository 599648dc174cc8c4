/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of mounts: what its lines say, and which lines are none. */
#include "support.h"

#include <sys/mman.h>

#include "base/mountinfo.h"

static int list_of(const char *text)
{
	int fd = memfd_create("mountinfo", MFD_CLOEXEC);

	assert_sys(fd);
	assert_ok(io_pwrite(fd, text, strlen(text), 0));
	return fd;
}

static void next_is(struct mountinfo *list, uint64_t id, uint32_t major,
		    uint32_t minor, const char *point, const char *type)
{
	assert_true(mountinfo_next(list));
	assert_int_equal(list->id, id);
	assert_int_equal(list->major, major);
	assert_int_equal(list->minor, minor);
	assert_string_equal(list->point, point);
	assert_string_equal(list->type, type);
}

static void lines_are_read(void **state)
{
	_cleanup_(mountinfo_clear) struct mountinfo list = { 0 };
	_cleanup_close_ int fd = list_of(
		"21 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda rw\n"
		"4294967297 21 0:4294967295 /a\\040-\\040b /m\\134\\011\\012\\040 rw"
		" - fuse.dirdisk dirdisk rw\n"
		"\n"
		"23 21 0:7 / /cut\n"
		"24 21 0:8 / - ext4 none rw\n"
		"25 21 none / /none rw - ext4 none rw\n"
		"26 21 0:9 /\r\v\f /x\ry rw - tmpfs  rw");

	assert_int_equal(lseek(fd, 0, SEEK_END) > 0, 1);
	assert_ok(mountinfo_read(&list, fd));
	next_is(&list, 21, 8, 1, "/", "ext4");
	next_is(&list, 4294967297, 0, 4294967295, "/m\\\t\n ", "fuse.dirdisk");
	next_is(&list, 26, 0, 9, "/x\ry", "tmpfs");
	assert_false(mountinfo_next(&list));
	assert_false(mountinfo_next(&list));
}

static void mount_is_found_by_its_id(void **state)
{
	_cleanup_(mountinfo_clear) struct mountinfo list = { 0 };
	_cleanup_close_ int empty = list_of("");
	_cleanup_close_ int fd = list_of("1 0 0:1 / /one rw - tmpfs a rw\n"
					 "2 1 0:2 / /two rw - proc b rw\n"
					 "3 1 0:3 / /three rw - sysfs c rw\n");

	assert_int_equal(mountinfo_find(&list, fd, 4), -ENOENT);
	assert_int_equal(mountinfo_find(&list, empty, 1), -ENOENT);
	assert_null(list.text);
	assert_ok(mountinfo_find(&list, fd, 2));
	assert_string_equal(list.point, "/two");
	assert_string_equal(list.type, "proc");
}

/* Without a descriptor, it is the list of this process. */
static void own_mounts(void **state)
{
	_cleanup_(mountinfo_clear) struct mountinfo list = { 0 };
	struct statx st;

	assert_sys(statx(AT_FDCWD, "/proc", 0, STATX_MNT_ID, &st));
	assert_ok(mountinfo_find(&list, -1, st.stx_mnt_id));
	assert_string_equal(list.type, "proc");
	assert_int_equal(list.major, st.stx_dev_major);
	assert_int_equal(list.minor, st.stx_dev_minor);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(mount_is_found_by_its_id),
		cmocka_unit_test(own_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
