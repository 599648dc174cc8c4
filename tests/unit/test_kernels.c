/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files are kernels, and of which version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "boot_tree.h"

static void names(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1.0-18-amd64" },
		{ "kernels/vmlinuz-6.1.0-9-amd64" },
		{ "kernels/kernel-6.9.0-rc10" },
		{ "kernels/kernel-6.9.0" },
		{ "kernels/bzImage", .version = "6.2 x" },
		{ "kernels/vmlinuz", .version = "6.3 x" },
		{ "kernels/vmlinuz-6.1.0.old" },
		/* And these are none. */
		{ "kernels/initrd.img-6.1.0-18-amd64" },
		{ "kernels/vmlinux" },
		{ "kernels/vmlinux-6.1" },
		{ "kernels/System.map-6.1" },
		{ "kernels/xvmlinuz-6.1" },
		{ "kernels/vmlinuz-6.1.dpkg-new" },
		{ "kernels/vmlinuz-6.1.dpkg-" },
		{ "kernels/vmlinuz-6.1.rpmsave" },
		{ "kernels/vmlinuz-6.1.rpmnew" },
		{ "kernels/vmlinuz-6.1.sig" },
		{ "kernels/vmlinuz-6.1.cmdline" },
		{ "kernels/vmlinuz-6.1\r" },
		{ "kernels/README-6.1" },
		{ "vmlinuz-6.3/x" },
		{ "lib/vmlinuz-6.4" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entry;

	assert_paths(kernels, PATHS("/kernels/vmlinuz", "/kernels/bzImage",
				    "/kernels/kernel-6.9.0",
				    "/kernels/kernel-6.9.0-rc10",
				    "/kernels/vmlinuz-6.1.0-18-amd64",
				    "/kernels/vmlinuz-6.1.0-9-amd64",
				    "/kernels/vmlinuz-6.1.0.old"));
	entry = entry_of(kernels, "/kernels/vmlinuz-6.1.0-18-amd64");
	assert_string_equal(entry->version, "6.1.0-18-amd64");
	assert_string_equal(entry->title, "Linux 6.1.0-18-amd64");
	assert_string_equal(entry->id, "gnulinux-6.1.0-18-amd64");
	assert_string_equal(entry->file, "vmlinuz-6.1.0-18-amd64");
	assert_initrds(entry, PATHS("/kernels/initrd.img-6.1.0-18-amd64"));
	assert_int_equal(entry->partition, 2);
	assert_null(entry->name);
	assert_false(entry->is_default);
	entry = entry_of(kernels, "/kernels/vmlinuz");
	assert_string_equal(entry->title, "Linux 6.3 (vmlinuz)");
	assert_string_equal(entry->id, "gnulinux-6.3");
	assert_true(entry->is_default);
	assert_int_equal(entry->n_initrds, 0);
}

/* The version is what `^[^0-9]*-` leaves, or the one inside. */
static void versions(void **state)
{
	static const char *const cases[][3] = {
		{ "kernels/vmlinuz-6.1", "6.2 (x)", "6.1" },
		{ "kernels/vmlinuz-linux-lts", "6.2 (x)", "lts" },
		{ "kernels/vmlinuz-xen-4.0-x", NULL, "4.0-x" },
		{ "kernels/kernel-x86_64-6.1", NULL, "x86_64-6.1" },
		{ "kernels/kernel-genkernel-x64-6.1-gentoo", NULL,
		  "x64-6.1-gentoo" },
		{ "kernels/vmlinuz-", "6.2 (x)", "vmlinuz-" },
		{ "kernels/bzImage", "6.2 (x)", "6.2" },
		{ "kernels/bzImage", NULL, "bzImage" },
		{ "kernels/vmlinuz", "6.2+ (x)", "6.2+" },
		{ "kernels/mine/vmlinuz.old", "6.2 (x)", "6.2" },
		{ "kernels/mine/vmlinuz-6.1", "6.2 (x)", "6.1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct file files[] = {
			{ cases[i][0], .version = cases[i][1] },
			{ NULL },
		};
		_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries), 1);
		assert_string_equal(entries[0].version, cases[i][2]);
	}
}

/* Nobody else has such a name for it. */
static void vmlinux(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinux", .text = "\177ELF\002" },
		{ "kernels/vmlinux-6.1", .text = "\177ELF\002" },
		{ "kernels/mine/vmlinux", .text = "\177ELF\002" },
		{ "kernels/vmlinux-6.2" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entries;

	assert_int_equal(boot_entries(kernels, &entries), 0);
	assert_rejected(kernels, "/kernels/vmlinux", "is ELF: use bzImage");
	assert_rejected(kernels, "/kernels/vmlinux-6.1", "use bzImage");
	assert_rejected(kernels, "/kernels/mine/vmlinux", "use bzImage");
	assert_rejected(kernels, "/kernels/vmlinux-6.2", "no kernel's name");
}

/* kernels/NAME/: a kernel of its own, and all that is beside it. */
static void directories(void **state)
{
	static const struct file files[] = {
		{ "kernels/a/bzImage", .version = "6.9 x" },
		{ "kernels/a/initrd-foo" },
		{ "kernels/a/initramfs-bar.d" },
		{ "kernels/a/initrd\r" },
		{ "kernels/a/other" },
		{ "kernels/a/sub/bzImage" },
		{ "kernels/b/vmlinuz-6.8", .version = "1 x" },
		{ "kernels/b/initrd.img-6.8" },
		{ "kernels/b/initrd.img-6.7" },
		{ "kernels/b/modules-6.8" },
		{ "kernels/b/kernel-6.8" },
		{ "kernels/c/vmlinuz", .version = "6.10 x" },
		{ "kernels/c/vmlinuz.old", .version = "6.6 x" },
		{ "kernels/c/vmlinux" },
		{ "kernels/c/initrd.img" },
		{ "kernels/c/modules" },
		{ "kernels/modules-9/bzImage" },
		{ "kernels/initrd.d/bzImage" },
		{ "kernels/link", "a" },
		{ "kernels/r\r/bzImage" },
		{ "kernels/e/initrd" },
		{ "boot/f/bzImage" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entry;

	assert_paths(kernels,
		     PATHS("/kernels/c/vmlinuz", "/kernels/a/bzImage",
			   "/kernels/b/vmlinuz-6.8", "/kernels/c/vmlinuz.old"));
	entry = entry_of(kernels, "/kernels/a/bzImage");
	assert_string_equal(entry->name, "a");
	assert_string_equal(entry->title, "Linux 6.9 (a/bzImage)");
	assert_string_equal(entry->id, "gnulinux-6.9");
	assert_initrds(entry, PATHS("/kernels/a/initramfs-bar.d",
				    "/kernels/a/initrd-foo"));
	entry = entry_of(kernels, "/kernels/b/vmlinuz-6.8");
	assert_string_equal(entry->title, "Linux 6.8 (b/vmlinuz-6.8)");
	assert_initrds(entry, PATHS("/kernels/b/initrd.img-6.8",
				    "/kernels/b/modules-6.8"));
	assert_initrds(entry_of(kernels, "/kernels/c/vmlinuz"),
		       PATHS("/kernels/c/initrd.img", "/kernels/c/modules"));
	assert_rejected(kernels, "/kernels/a/initrd\r", "carriage return");
	assert_rejected(kernels, "/kernels/b/initrd.img-6.7", "no kernel");
	assert_rejected(kernels, "/kernels/r\r", "carriage return");
	assert_rejected(kernels, "/kernels/e/initrd", "no kernel");
}

static void links(void **state)
{
	static const struct file files[] = {
		{ "usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-1", "../usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-2", "/usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-3", "vmlinuz-2" },
		{ "kernels/vmlinuz-4", "/mod/6.1/../6.1//./vmlinuz" },
		{ "mod", "usr/lib/modules" },
		{ "kernels/initrd.img-4", "vmlinuz-1" },
		{ "kernels/vmlinuz-5", "../../../usr/lib/modules/6.1/vmlinuz" },
		/* These lead nowhere, out of the tree or to no file. */
		{ "kernels/vmlinuz-6", "/etc/no-such-file" },
		{ "kernels/vmlinuz-7", "vmlinuz-7" },
		{ "kernels/vmlinuz-8", "/usr/lib/modules" },
		{ "kernels/vmlinuz-9", "vmlinuz-1/" },
		{ "kernels/vmlinuz-a", "vmlinuz-1/../vmlinuz-1" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_paths(kernels, PATHS("/kernels/vmlinuz-5", "/kernels/vmlinuz-4",
				    "/kernels/vmlinuz-3", "/kernels/vmlinuz-2",
				    "/kernels/vmlinuz-1"));
	assert_initrds(entry_of(kernels, "/kernels/vmlinuz-4"),
		       PATHS("/kernels/initrd.img-4"));
	assert_rejected(kernels, "/kernels/vmlinuz-8", "leads to no file");
}

/* GRUB follows seven links, and so does this. */
static void chains_of_links(void **state)
{
	static const struct file files[] = {
		{ "kernels/file" },
		{ "kernels/l1", "file" },
		{ "kernels/l2", "l1" },
		{ "kernels/l3", "l2" },
		{ "kernels/l4", "l3" },
		{ "kernels/l5", "l4" },
		{ "kernels/vmlinuz-6", "l5" },
		{ "kernels/vmlinuz-7", "vmlinuz-6" },
		{ "kernels/vmlinuz-8", "vmlinuz-7" },
		{ "kernels/bzImage", "/kernels/../kernels/bzImage" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_paths(kernels,
		     PATHS("/kernels/vmlinuz-7", "/kernels/vmlinuz-6"));
}

static void no_directory(void **state)
{
	static const struct file none[] = { { NULL } };
	static const struct file file[] = { { "kernels" }, { NULL } };
	static const struct file link[] = {
		{ "lib/vmlinuz-6.1" },
		{ "kernels", "lib" },
		{ NULL },
	};
	const struct boot_entry *entries;
	struct boot_kernels *kernels = find(none, NULL);

	assert_int_equal(boot_entries(kernels, &entries), 0);
	boot_kernels_free(kernels);
	kernels = find(file, NULL);
	assert_int_equal(boot_entries(kernels, &entries), 0);
	boot_kernels_free(kernels);
	kernels = find(link, NULL);
	assert_paths(kernels, PATHS("/kernels/vmlinuz-6.1"));
	boot_kernels_free(kernels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(versions),
		cmocka_unit_test(vmlinux),
		cmocka_unit_test(directories),
		cmocka_unit_test(links),
		cmocka_unit_test(chains_of_links),
		cmocka_unit_test(no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
