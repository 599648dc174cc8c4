/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which initrds go with a kernel, and which directories are archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "boot_tree.h"

/* Of all names that an initrd may have, the first of what is left is taken. */
static void assert_order(const char *kernel, const char *const *initrds)
{
	struct file files[20] = { { kernel } };

	for (; *initrds; initrds++) {
		_cleanup_boot_ struct boot_kernels *kernels = NULL;
		const struct boot_entry *entries;
		size_t n = 1;

		while (initrds[n - 1]) {
			files[n].path = initrds[n - 1] + 1;
			n++;
		}
		files[n].path = NULL;
		kernels = find(files, NULL);
		assert_int_equal(boot_entries(kernels, &entries), 1);
		assert_initrds(&entries[0], PATHS(initrds[0]));
	}
}

static void initrd_of_a_version(void **state)
{
	assert_order("kernels/vmlinuz-6.1.old",
		     PATHS("/kernels/initrd.img-6.1.old",
			   "/kernels/initrd-6.1.old.img",
			   "/kernels/initrd-6.1.old.gz",
			   "/kernels/initrd-6.1.old",
			   "/kernels/initramfs-6.1.old.img",
			   "/kernels/initrd.img-6.1", "/kernels/initrd-6.1.img",
			   "/kernels/initrd-6.1.gz", "/kernels/initrd-6.1",
			   "/kernels/initramfs-6.1.img"));
}

static void initrd_of_a_bare_kernel(void **state)
{
	const char *const *initrds =
		PATHS("/kernels/initrd.img", "/kernels/initrd",
		      "/kernels/initramfs.img", "/kernels/initramfs",
		      "/kernels/initrd.gz");

	assert_order("kernels/bzImage", initrds);
	assert_order("kernels/vmlinuz", initrds);
}

static void initrd_of_a_named_kernel(void **state)
{
	assert_order("kernels/vmlinuz-linux-lts",
		     PATHS("/kernels/initramfs-lts.img",
			   "/kernels/initramfs-linux-lts.img"));
}

/* With no name of its own it may have one of the version inside. */
static void initrd_of_the_version_inside(void **state)
{
	static const struct file files[] = {
		{ "kernels/bzImage", .version = "6.9 x" },
		{ "kernels/initrd.img-6.9" },
		{ "kernels/vmlinuz-mine", .version = "6.9 x" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_initrds(entry_of(kernels, "/kernels/bzImage"),
		       PATHS("/kernels/initrd.img-6.9"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-mine"), NO_PATHS);
}

/* A bare kernel has none of its version beside a kernel of that version. */
static void bare_initrds_come_alone(void **state)
{
	static const struct file files[] = {
		{ "kernels/bzImage", .version = "6.9 x" },
		{ "kernels/initrd.img-6.9" },
		{ "kernels/initrd.img-6.9.d" },
		{ "kernels/initramfs.d" },
		{ "kernels/vmlinuz-6.9" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_initrds(entry_of(kernels, "/kernels/bzImage"),
		       PATHS("/kernels/initramfs.d"));
	assert_initrds(
		entry_of(kernels, "/kernels/vmlinuz-6.9"),
		PATHS("/kernels/initrd.img-6.9", "/kernels/initrd.img-6.9.d"));
}

static void initrd_of_another(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },    { "kernels/initrd.img" },
		{ "kernels/initrd.img-6.2" }, { "kernels/initrd.img-6.1/" },
		{ "kernels/initramfs-6.1" },  { "kernels/bzImage" },
		{ "initrd.img-6.1/x" },	      { NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entries;

	assert_int_equal(boot_entries(kernels, &entries), 2);
	assert_initrds(entry_of(kernels, "/kernels/bzImage"),
		       PATHS("/kernels/initrd.img"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-6.1"), NO_PATHS);
	assert_rejected(kernels, "/kernels/initrd.img-6.2", "no kernel");
	assert_rejected(kernels, "/kernels/initramfs-6.1", "no kernel");
}

/* Directories that the disk shows as archives: files here, called .d still. */
static void archives(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/initrd.img-6.1" },
		{ "kernels/initrd.img-6.1.d" },
		{ "kernels/modules-6.1" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/initramfs-6.2.d" },
		{ "kernels/vmlinuz-6.3.old" },
		{ "kernels/initrd-6.3.img" },
		{ "kernels/initrd.img-6.3.d" },
		{ "kernels/modules-6.3.old" },
		{ "kernels/bzImage", .version = "6.9 x" },
		{ "kernels/initramfs.d" },
		{ "kernels/modules" },
		{ "kernels/vmlinuz-mine", .version = "6.4 x" },
		{ "kernels/modules-6.4" },
		{ "kernels/modules-6.5" },
		{ "kernels/initrd-6.5.d" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-6.1"),
		       PATHS("/kernels/initrd.img-6.1",
			     "/kernels/initrd.img-6.1.d",
			     "/kernels/modules-6.1"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-6.2"),
		       PATHS("/kernels/initramfs-6.2.d"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-6.3.old"),
		       PATHS("/kernels/initrd-6.3.img",
			     "/kernels/initrd.img-6.3.d",
			     "/kernels/modules-6.3.old"));
	assert_initrds(entry_of(kernels, "/kernels/bzImage"),
		       PATHS("/kernels/initramfs.d", "/kernels/modules"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-mine"),
		       PATHS("/kernels/modules-6.4"));
	assert_rejected(kernels, "/kernels/modules-6.5", "no kernel");
	assert_rejected(kernels, "/kernels/initrd-6.5.d", "no kernel");
}

static void names_of_archives(void **state)
{
	static const struct {
		const char *name;
		bool is;
	} cases[] = {
		{ "initrd.d", true },
		{ "initrd.img-6.1.d", true },
		{ "initramfs.d", true },
		{ "initramfs-6.1.d", true },
		{ "modules", true },
		{ "modules-6.1", true },
		{ "modules-", true },
		{ "initrd", false },
		{ "initrd.img-6.1", false },
		{ "modules.d", false },
		{ "module", false },
		{ "modulesx", false },
		{ "xinitrd.d", false },
		{ "initr.d", false },
		{ "d", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (boot_is_archive(cases[i].name, strlen(cases[i].name)) !=
		    cases[i].is)
			fail_msg("%s", cases[i].name);
	/* A length, no end. */
	assert_true(boot_is_archive("modules!", 7));
	assert_true(boot_is_archive("initrd.d!", 8));
	assert_false(boot_is_archive("modules-", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initrd_of_a_version),
		cmocka_unit_test(initrd_of_a_bare_kernel),
		cmocka_unit_test(initrd_of_a_named_kernel),
		cmocka_unit_test(initrd_of_the_version_inside),
		cmocka_unit_test(bare_initrds_come_alone),
		cmocka_unit_test(initrd_of_another),
		cmocka_unit_test(archives),
		cmocka_unit_test(names_of_archives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
