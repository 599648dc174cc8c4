/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files are kernels, which initrds go with them, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ... but not beside one of its own. */
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

/* One version in several files: kernels/ before boot/, then by name. */
static void the_same_version(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/kernel-6.1" },
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/kernel-6.1" },
		{ "kernels/bzImage", .version = "6.1 x" },
		{ "kernels/a/vmlinuz", .version = "6.1 x" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	static const char *const ids[] = {
		"gnulinux-6.1 (partition 2: /kernels/bzImage)",
		"gnulinux-6.1 (partition 2: /kernels/a/vmlinuz)",
		"gnulinux-6.1",
		"gnulinux-6.1 (partition 2: /kernels/vmlinuz-6.1)",
		"gnulinux-6.1 (partition 1: /boot/kernel-6.1)",
		"gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)",
	};
	static const char *const titles[] = {
		"Linux 6.1 (bzImage)",
		"Linux 6.1 (a/vmlinuz)",
		"Linux 6.1",
		"Linux 6.1 (partition 2: /kernels/vmlinuz-6.1)",
		"Linux 6.1 (partition 1: /boot/kernel-6.1)",
		"Linux 6.1 (partition 1: /boot/vmlinuz-6.1)",
	};
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);

	assert_paths(kernels,
		     PATHS("/kernels/bzImage", "/kernels/a/vmlinuz",
			   "/kernels/kernel-6.1", "/kernels/vmlinuz-6.1",
			   "/boot/kernel-6.1", "/boot/vmlinuz-6.1"));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(entries[i].id, ids[i]);
		assert_string_equal(entries[i].title, titles[i]);
	}
}

/* Newest file first, whatever its name; the same time: as ever. */
static void by_time(void **state)
{
	static const struct boot_options options = {
		.order = BOOT_ORDER_MTIME,
	};
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1", .mtime = 300 },
		{ "kernels/vmlinuz-6.2", .mtime = 200 },
		{ "kernels/vmlinuz-6.3", .mtime = 200 },
		{ "kernels/bzImage", .mtime = -5 },
		{ "boot/vmlinuz-6.9", .mtime = 250 },
		{ "kernels/x/vmlinuz", .mtime = 400 },
		{ "build/bzImage", .mtime = 500 },
		{ "kernels/vmlinuz-1", "../build/bzImage" },
		{ "linux", .mtime = 350 },
		{ "loader/entries/a.conf", .text = "linux /linux\n" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, &options);

	assert_paths(kernels,
		     PATHS("/kernels/vmlinuz-1", "/kernels/x/vmlinuz", "/linux",
			   "/kernels/vmlinuz-6.1", "/boot/vmlinuz-6.9",
			   "/kernels/vmlinuz-6.3", "/kernels/vmlinuz-6.2",
			   "/kernels/bzImage"));
}

/* The default is on top, all the others stay in their order. */
static void default_first(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.3" },
		{ "kernels/bzImage", .version = "5.0 x" },
		{ "kernels/mine/vmlinuz", .version = "4.0 x" },
		{ "kernels/a/vmlinuz", .version = "6.1 x" },
		{ "boot/vmlinuz-6.1" },
		{ "loader/entries/it+3-1.conf",
		  .text = "linux /kernels/vmlinuz-6.3\nversion 7" },
		{ NULL },
	};
	static const struct {
		const char *name;
		const char *path;
	} cases[] = {
		{ "6.1", "/kernels/vmlinuz-6.1" },
		{ "vmlinuz-6.2", "/kernels/vmlinuz-6.2" },
		{ "gnulinux-6.2", "/kernels/vmlinuz-6.2" },
		{ "kernels/vmlinuz-6.1", "/kernels/vmlinuz-6.1" },
		{ "/boot/vmlinuz-6.1", "/boot/vmlinuz-6.1" },
		{ "gnulinux-6.1 (partition 1: /boot/vmlinuz-6.1)",
		  "/boot/vmlinuz-6.1" },
		{ "bzImage", "/kernels/bzImage" },
		{ "5.0", "/kernels/bzImage" },
		{ "a", "/kernels/a/vmlinuz" },
		{ "mine", "/kernels/mine/vmlinuz" },
		{ "mine/vmlinuz", "/kernels/mine/vmlinuz" },
		{ "it+3-1", "/kernels/vmlinuz-6.3" },
		{ "it+3-1.conf", "/kernels/vmlinuz-6.3" },
		{ "7", "/kernels/vmlinuz-6.3" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_options options = { .default_entry =
							cases[i].name };
		_cleanup_boot_ struct boot_kernels *kernels = find(files,
								   &options);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries), 7);
		assert_string_equal(entries[0].path, cases[i].path);
		assert_true(entries[0].is_default);
		assert_false(entries[1].is_default);
	}
}

/* Whatever cannot boot is left out, and says why. */
static void rejected(void **state)
{
	static const struct file files[] = {
		{ "boot/config-6.1", .text = "CONFIG" },
		{ "kernels/vmlinuz-6.1", .text = "\177ELF" },
		{ "kernels/vmlinuz-6.2", .text = "MZ" },
		{ "kernels/vmlinuz-6.3", .text = "" },
		{ "kernels/initrd.img-6.1" },
		{ "kernels/vmlinuz-6.1.cmdline", .text = "a" },
		{ "kernels/vmlinuz-6.5.cmdline", .text = "a" },
		{ "kernels/vmlinuz-6.1.rpmsave" },
		{ "kernels/mine/vmlinuz", .text = "\177ELF" },
		{ "kernels/System.map" },
		{ "kernels/vmlinuz-6.1\r" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	static const struct {
		const char *path;
		bool is_kernel;
	} expected[] = {
		{ "/boot/config-6.1", false },
		{ "/kernels/System.map", false },
		{ "/kernels/mine/vmlinuz", true },
		{ "/kernels/vmlinuz-6.1", true },
		{ "/kernels/vmlinuz-6.1\r", true },
		{ "/kernels/vmlinuz-6.1.rpmsave", false },
		{ "/kernels/vmlinuz-6.2", true },
		{ "/kernels/vmlinuz-6.3", true },
		{ "/kernels/vmlinuz-6.5.cmdline", false },
	};
	const struct boot_reject *rejects;
	size_t n = boot_rejects(kernels, &rejects);

	for (size_t i = 0; i < n && i < 9; i++) {
		assert_string_equal(rejects[i].path, expected[i].path);
		assert_int_equal(rejects[i].is_kernel, expected[i].is_kernel);
	}
	assert_int_equal(n, 9);
	assert_paths(kernels, NO_PATHS);
	assert_rejected(kernels, "/kernels/vmlinuz-6.1", "ELF: use bzImage");
	assert_rejected(kernels, "/kernels/vmlinuz-6.2", "truncated");
	assert_rejected(kernels, "/kernels/vmlinuz-6.3", "empty");
	assert_rejected(kernels, "/kernels/vmlinuz-6.1\r", "carriage return");
}

/* What people see: the menu's order, and why a file is not in it. */
static void a_table(void **state)
{
	static const struct file files[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/grub/x" },
		{ "kernels/bzImage", .version = "6.9\n x" },
		{ "kernels/vmlinuz-6.10" },
		{ "kernels/initrd.img-6.10" },
		{ "kernels/initrd.img-6.10.d" },
		{ "kernels/initrd.img-5.0" },
		{ "kernels/vmlinuz-6.2", "nowhere" },
		{ "kernels/vmlinuz-6.1.rpmsave" },
		{ "kernels/System.map-6.1\n" },
		{ NULL },
	};
	static const struct file none[] = { { "kernels/dir/x" }, { NULL } };
	struct boot_kernels *kernels = find(files, NULL);
	char *text;

	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &text), 0);
	assert_string_equal(
		text,
		"VERSION  KERNEL                 INITIAL RAM DISKS\n"
		"6.9\\x0a  /kernels/bzImage       -\n"
		"6.10     /kernels/vmlinuz-6.10  /kernels/initrd.img-6.10, "
		"/kernels/initrd.img-6.10.d\n"
		"6.1      /boot/vmlinuz-6.1      -\n"
		"\n"
		"Not in the menu:\n"
		"/kernels/System.map-6.1\\x0a: has no kernel's name: vmlinuz-*, "
		"kernel-*, vmlinuz, bzImage\n"
		"/kernels/initrd.img-5.0: goes with no kernel\n"
		"/kernels/vmlinuz-6.1.rpmsave: is what packages leave beside "
		"kernels, by its name\n"
		"/kernels/vmlinuz-6.2: leads to no file on its partition\n");
	free(text);
	boot_kernels_free(kernels);
	kernels = find(none, NULL);
	assert_int_equal(boot_kernels_table(kernels, SIZE_MAX, &text), 0);
	assert_string_equal(text, "No kernel in kernels/ or boot/.\n");
	free(text);
	boot_kernels_free(kernels);
}

/* The number in "and N more", from text on. */
static size_t more_of(const char *text)
{
	const char *p = strstr(text, "and ");

	assert_non_null(p);
	return strtoul(p + 4, NULL, 10);
}

static size_t count_lines(const char *text, const char *end,
			  const char *beginning)
{
	size_t n = 0;

	while ((text = strstr(text, beginning)) && text < end) {
		text++;
		n++;
	}
	return n;
}

/* However much there is, the table ends, and says how much is missing. */
static void a_table_of_many(void **state)
{
	enum {
		N = 600,
		MAX = 4096
	};
	static char names[2 * N][40];
	static struct file files[2 * N + 1];
	struct boot_kernels *kernels;
	char *text;
	const char *rejects;

	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], 40, "kernels/vmlinuz-1.%03u", i);
		snprintf(names[N + i], 40, "kernels/other-%03u", i);
		files[i].path = names[i];
		files[N + i].path = names[N + i];
	}
	kernels = find(files, NULL);
	assert_int_equal(boot_kernels_table(kernels, MAX, &text), 0);
	rejects = strstr(text, "Not in the menu");
	assert_non_null(rejects);
	assert_true(strlen(text) < 2 * MAX + 200);
	assert_true(strlen(text) > MAX);
	assert_int_equal(count_lines(text, rejects, "/kernels/vmlinuz-") +
				 more_of(text),
			 N);
	assert_int_equal(
		count_lines(rejects, text + strlen(text), "/kernels/other-") +
			more_of(rejects),
		N);
	free(text);
	boot_kernels_free(kernels);
}

static void put(int dir, const char *path, const void *bytes, size_t len)
{
	int fd = openat(dir, path, O_CREAT | O_WRONLY | O_APPEND, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* A file of the host that is no longer the one scanned: scan again. */
static void stale(void **state)
{
	static const char *const paths[] = {
		"kernels/vmlinuz-6.1",
		"kernels/bzImage.cmdline",
		"loader/entries/a.conf",
		"loader/entries.srel",
	};
	static const char *const dirs[] = { "loader/entries", "loader",
					    "kernels" };
	static const struct tree_scan_options scan_options = { 0 };
	static const struct boot_options options = { 0 };
	static const struct file none[] = { { NULL } };
	char host[] = "/tmp/dirdisk-XXXXXX";
	struct tree *boot = files_tree(none);
	size_t len;
	uint8_t *kernel = kernel_bytes(NULL, 0, &len);
	int dirfd;

	assert_non_null(mkdtemp(host));
	dirfd = open(host, O_RDONLY | O_DIRECTORY);
	for (size_t i = 3; i-- > 0;)
		assert_int_equal(mkdirat(dirfd, dirs[i], 0700), 0);
	put(dirfd, "kernels/bzImage", kernel, len);
	put(dirfd, "loader/entries/b.conf", "linux x", 7);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct boot_kernels *kernels = NULL;
		struct diag diag = DIAG_INIT;
		struct tree *tree;

		put(dirfd, paths[i], "one", 3);
		assert_int_equal(tree_scan(dirfd, host, &scan_options, NULL,
					   &tree, NULL),
				 0);
		assert_int_equal(
			boot_find(&kernels, boot, tree, &options, NULL), 0);
		boot_kernels_free(kernels);
		put(dirfd, paths[i], "more", 4);
		assert_int_equal(
			boot_find(&kernels, boot, tree, &options, &diag),
			-ESTALE);
		assert_non_null(strstr(diag.path, paths[i]));
		diag_clear(&diag);
		tree_free(tree);
		assert_int_equal(unlinkat(dirfd, paths[i], 0), 0);
	}
	assert_int_equal(unlinkat(dirfd, "kernels/bzImage", 0), 0);
	assert_int_equal(unlinkat(dirfd, "loader/entries/b.conf", 0), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(unlinkat(dirfd, dirs[i], AT_REMOVEDIR), 0);
	close(dirfd);
	tree_free(boot);
	free(kernel);
	assert_int_equal(rmdir(host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(versions),
		cmocka_unit_test(initrd_of_a_version),
		cmocka_unit_test(initrd_of_a_bare_kernel),
		cmocka_unit_test(initrd_of_a_named_kernel),
		cmocka_unit_test(initrd_of_the_version_inside),
		cmocka_unit_test(bare_initrds_come_alone),
		cmocka_unit_test(vmlinux),
		cmocka_unit_test(initrd_of_another),
		cmocka_unit_test(archives),
		cmocka_unit_test(names_of_archives),
		cmocka_unit_test(directories),
		cmocka_unit_test(links),
		cmocka_unit_test(chains_of_links),
		cmocka_unit_test(no_directory),
		cmocka_unit_test(the_same_version),
		cmocka_unit_test(by_time),
		cmocka_unit_test(default_first),
		cmocka_unit_test(rejected),
		cmocka_unit_test(a_table),
		cmocka_unit_test(a_table_of_many),
		cmocka_unit_test(stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
