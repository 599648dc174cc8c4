/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files are kernels, which initrd goes with them, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

#include "boot/kernels.h"
#include "imgcore/boot.h"
#include "imgcore/tree.h"

/* A file of this path, or a symbolic link where there is a target. */
struct entry {
	const char *path;
	const char *target;
};

static void entry_add(struct tree_builder *builder, const struct entry *entry)
{
	static const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	static const struct tree_attr file = { .mode = S_IFREG | 0644 };
	static const struct tree_attr link = { .mode = S_IFLNK | 0777 };
	const char *name = strrchr(entry->path, '/') + 1;
	char *parent = strndup(entry->path, (size_t)(name - 1 - entry->path));
	builder_id parent_id, id;

	assert_int_equal(
		tree_builder_mkdirs(builder, 0, parent, &dir, &parent_id), 0);
	if (entry->target)
		assert_int_equal(
			tree_builder_add_symlink(builder, parent_id, name,
						 &link, entry->target,
						 strlen(entry->target), NULL),
			0);
	else if (*name)
		assert_int_equal(tree_builder_add(builder, parent_id, name,
						  strlen(name), &file, &id),
				 0);
	free(parent);
}

/* The tree of these entries, up to one without a path. */
static struct tree *tree_of(const struct entry *entries)
{
	static const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	struct tree_builder *builder;
	struct tree *tree;

	assert_int_equal(tree_builder_new(&builder, &root), 0);
	for (; entries->path; entries++)
		entry_add(builder, entries);
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	return tree;
}

static struct kernels kernels_of(const struct entry *entries)
{
	struct tree *tree = tree_of(entries);
	struct kernels kernels = { 0 };

	assert_int_equal(kernels_find(&kernels, tree, "kernels", 2), 0);
	kernels_sort(&kernels);
	tree_free(tree);
	return kernels;
}

static void assert_files(const struct kernels *kernels,
			 const char *const *files)
{
	size_t n = 0;

	while (files[n])
		n++;
	for (size_t i = 0; i < kernels->count && i < n; i++)
		assert_string_equal(kernels->items[i].file, files[i]);
	assert_int_equal(kernels->count, n);
}

static void names(void **state)
{
	static const struct entry entries[] = {
		{ "kernels/vmlinuz-6.1.0-18-amd64" },
		{ "kernels/vmlinuz-6.1.0-9-amd64" },
		{ "kernels/kernel-6.9.0-rc10" },
		{ "kernels/kernel-6.9.0" },
		{ "kernels/bzImage" },
		{ "kernels/vmlinuz" },
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
		{ "kernels/vmlinuz-6.1\r" },
		{ "kernels/README-6.1" },
		{ "kernels/vmlinuz-dir/" },
		{ "kernels/vmlinuz-dir/vmlinuz-6.2" },
		{ "vmlinuz-6.3/x" },
		{ "lib/vmlinuz-6.4" },
		{ NULL },
	};
	static const char *const files[] = {
		"vmlinuz",
		"bzImage",
		"kernel-6.9.0",
		"kernel-6.9.0-rc10",
		"vmlinuz-6.1.0-18-amd64",
		"vmlinuz-6.1.0-9-amd64",
		"vmlinuz-6.1.0.old",
		NULL,
	};
	_cleanup_kernels_ struct kernels kernels = kernels_of(entries);

	assert_files(&kernels, files);
	assert_string_equal(kernels.items[4].version, "6.1.0-18-amd64");
	assert_string_equal(kernels.items[4].path,
			    "/kernels/vmlinuz-6.1.0-18-amd64");
	assert_string_equal(kernels.items[4].initrd,
			    "/kernels/initrd.img-6.1.0-18-amd64");
	assert_int_equal(kernels.items[4].partition, 2);
	assert_null(kernels.items[5].initrd);
}

/* The version is what `^[^0-9]*-` leaves. */
static void versions(void **state)
{
	static const char *const pairs[][2] = {
		{ "kernels/vmlinuz-6.1", "6.1" },
		{ "kernels/vmlinuz-linux-lts", "lts" },
		{ "kernels/vmlinuz-xen-4.0-x", "4.0-x" },
		{ "kernels/kernel-x86_64-6.1", "x86_64-6.1" },
		{ "kernels/kernel-genkernel-x64-6.1-gentoo", "x64-6.1-gentoo" },
		{ "kernels/vmlinuz-", "vmlinuz-" },
		{ "kernels/bzImage", "bzImage" },
		{ "kernels/vmlinuz", "vmlinuz" },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct entry entries[] = { { pairs[i][0] }, { NULL } };
		_cleanup_kernels_ struct kernels kernels = kernels_of(entries);

		assert_int_equal(kernels.count, 1);
		assert_string_equal(kernels.items[0].version, pairs[i][1]);
	}
}

/* Of all names that an initrd may have, the first of what is left is taken. */
static void assert_order(const char *kernel, const char *const *initrds)
{
	struct entry entries[16] = { { kernel } };

	for (; *initrds; initrds++) {
		struct kernels kernels;
		size_t n = 1;

		while (initrds[n - 1]) {
			entries[n].path = initrds[n - 1] + 1;
			n++;
		}
		entries[n].path = NULL;
		kernels = kernels_of(entries);
		assert_int_equal(kernels.count, 1);
		assert_string_equal(kernels.items[0].initrd, initrds[0]);
		kernels_clear(&kernels);
	}
}

static void initrd_of_a_version(void **state)
{
	static const char *const initrds[] = {
		"/kernels/initrd.img-6.1.old",
		"/kernels/initrd-6.1.old.img",
		"/kernels/initrd-6.1.old.gz",
		"/kernels/initrd-6.1.old",
		"/kernels/initramfs-6.1.old.img",
		"/kernels/initrd.img-6.1",
		"/kernels/initrd-6.1.img",
		"/kernels/initrd-6.1.gz",
		"/kernels/initrd-6.1",
		"/kernels/initramfs-6.1.img",
		NULL,
	};

	assert_order("kernels/vmlinuz-6.1.old", initrds);
}

static void initrd_of_a_bare_kernel(void **state)
{
	static const char *const initrds[] = {
		"/kernels/initrd.img",	  "/kernels/initrd",
		"/kernels/initramfs.img", "/kernels/initramfs",
		"/kernels/initrd.gz",	  NULL,
	};

	assert_order("kernels/bzImage", initrds);
	assert_order("kernels/vmlinuz", initrds);
}

static void initrd_of_a_named_kernel(void **state)
{
	static const char *const initrds[] = {
		"/kernels/initramfs-lts.img",
		"/kernels/initramfs-linux-lts.img",
		NULL,
	};

	assert_order("kernels/vmlinuz-linux-lts", initrds);
}

static void initrd_of_another(void **state)
{
	static const struct entry entries[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/initrd.img" },
		{ "kernels/initrd.img-6.2" },
		{ "kernels/initrd.img-6.1/" },
		{ "kernels/bzImage" },
		{ "initrd.img-6.1/x" },
		{ NULL },
	};
	_cleanup_kernels_ struct kernels kernels = kernels_of(entries);

	assert_int_equal(kernels.count, 2);
	assert_string_equal(kernels.items[0].initrd, "/kernels/initrd.img");
	assert_null(kernels.items[1].initrd);
}

static void links(void **state)
{
	static const struct entry entries[] = {
		{ "usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-1", "../usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-2", "/usr/lib/modules/6.1/vmlinuz" },
		{ "kernels/vmlinuz-3", "vmlinuz-2" },
		{ "kernels/vmlinuz-4", "/mod/6.1/../6.1//./vmlinuz" },
		{ "/mod", "usr/lib/modules" },
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
	static const char *const files[] = {
		"vmlinuz-5", "vmlinuz-4", "vmlinuz-3",
		"vmlinuz-2", "vmlinuz-1", NULL,
	};
	_cleanup_kernels_ struct kernels kernels = kernels_of(entries);

	assert_files(&kernels, files);
	assert_string_equal(kernels.items[1].initrd, "/kernels/initrd.img-4");
}

/* GRUB follows seven links, and so does this. */
static void chains_of_links(void **state)
{
	static const struct entry entries[] = {
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
	static const char *const files[] = { "vmlinuz-7", "vmlinuz-6", NULL };
	_cleanup_kernels_ struct kernels kernels = kernels_of(entries);

	assert_files(&kernels, files);
}

static void no_directory(void **state)
{
	static const struct entry none[] = { { NULL } };
	static const struct entry file[] = { { "x/kernels" }, { NULL } };
	static const struct entry link[] = {
		{ "lib/vmlinuz-6.1" },
		{ "x/kernels", "../lib" },
		{ NULL },
	};
	struct kernels kernels = { 0 };
	struct tree *tree = tree_of(file);

	assert_int_equal(kernels_find(&kernels, tree, "x/kernels", 2), 0);
	assert_int_equal(kernels.count, 0);
	tree_free(tree);
	kernels = kernels_of(none);
	assert_int_equal(kernels.count, 0);
	tree = tree_of(link);
	assert_int_equal(kernels_find(&kernels, tree, "x/kernels", 2), 0);
	assert_int_equal(kernels.count, 1);
	assert_string_equal(kernels.items[0].path, "/x/kernels/vmlinuz-6.1");
	kernels_clear(&kernels);
	tree_free(tree);
}

/* One version in several files: kernels/ before boot/, then by name. */
static void the_same_version(void **state)
{
	static const struct entry entries[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/kernel-6.1" },
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/kernel-6.1" },
		{ NULL },
	};
	static const char *const paths[] = {
		"/kernels/kernel-6.1",
		"/kernels/vmlinuz-6.1",
		"/boot/kernel-6.1",
		"/boot/vmlinuz-6.1",
	};
	_cleanup_kernels_ struct kernels kernels = { 0 };
	struct tree *tree = tree_of(entries);

	assert_int_equal(kernels_find(&kernels, tree, "boot", 1), 0);
	assert_int_equal(kernels_find(&kernels, tree, "kernels", 2), 0);
	kernels_sort(&kernels);
	assert_int_equal(kernels.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(kernels.items[i].path, paths[i]);
	tree_free(tree);
}

/* What people see: the menu's order, and why a file is not in it. */
static void a_table(void **state)
{
	static const struct entry entries[] = {
		{ "boot/vmlinuz-6.1" },
		{ "boot/grub/x" },
		{ "kernels/bzImage" },
		{ "kernels/vmlinuz-6.10" },
		{ "kernels/initrd.img-6.10" },
		{ "kernels/initrd.img-5.0" },
		{ "kernels/vmlinuz-6.2", "nowhere" },
		{ "kernels/vmlinuz-6.1.rpmsave" },
		{ "kernels/System.map-6.1\n" },
		{ NULL },
	};
	static const struct entry none[] = { { "kernels/dir/x" }, { NULL } };
	struct tree *tree = tree_of(entries);
	struct tree *empty = tree_of(none);
	char *text;

	assert_int_equal(boot_kernels(tree, tree, &text), 0);
	assert_string_equal(
		text,
		"VERSION  KERNEL                 INITIAL RAM DISK\n"
		"bzImage  /kernels/bzImage       -\n"
		"6.10     /kernels/vmlinuz-6.10  /kernels/initrd.img-6.10\n"
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
	assert_int_equal(boot_kernels(empty, empty, &text), 0);
	assert_string_equal(text, "No kernel in kernels/ or boot/.\n");
	free(text);
	tree_free(tree);
	tree_free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(versions),
		cmocka_unit_test(initrd_of_a_version),
		cmocka_unit_test(initrd_of_a_bare_kernel),
		cmocka_unit_test(initrd_of_a_named_kernel),
		cmocka_unit_test(initrd_of_another),
		cmocka_unit_test(links),
		cmocka_unit_test(chains_of_links),
		cmocka_unit_test(no_directory),
		cmocka_unit_test(the_same_version),
		cmocka_unit_test(a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
