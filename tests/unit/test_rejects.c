/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that cannot boot, and files that have changed since the scan. */
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

/* A tree with a file of the host, of that path, among others. */
static struct tree *tree_with_host(const char *dir, const char *host_path)
{
	static const struct file others[] = {
		{ "kernels/bzImage" },
		{ "loader/entries/b.conf", .text = "linux x" },
		{ NULL },
	};
	static const struct tree_attr attr = { .mode = S_IFDIR | 0755 };
	const char *name = strrchr(host_path, '/') + 1;
	char *host_dir = strndup(host_path, (size_t)(name - host_path));
	int dirfd = open(host_dir, O_RDONLY | O_DIRECTORY);
	struct tree_builder *builder = files_builder(others);
	struct tree *tree;
	builder_id parent;

	assert_int_equal(tree_builder_mkdirs(builder, 0, dir, &attr, &parent),
			 0);
	assert_int_equal(
		tree_builder_add_host(builder, parent, name, dirfd, name, NULL),
		0);
	close(dirfd);
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	free(host_dir);
	return tree;
}

static void assert_stale(const char *dir, const char *host_path)
{
	static const struct boot_options options = { 0 };
	static const struct file none[] = { { NULL } };
	int fd = open(host_path, O_CREAT | O_WRONLY, 0600);
	struct tree *boot = files_tree(none);
	struct boot_kernels *kernels = NULL;
	struct diag diag = DIAG_INIT;
	struct tree *tree;

	assert_int_equal(write(fd, "one", 3), 3);
	tree = tree_with_host(dir, host_path);
	assert_int_equal(boot_find(&kernels, boot, tree, &options, NULL), 0);
	boot_kernels_free(kernels);
	assert_int_equal(write(fd, "more", 4), 4);
	assert_int_equal(boot_find(&kernels, boot, tree, &options, &diag),
			 -ESTALE);
	assert_non_null(strstr(diag.path, strrchr(host_path, '/') + 1));
	diag_clear(&diag);
	close(fd);
	unlink(host_path);
	tree_free(tree);
	tree_free(boot);
}

/* A file of the host that is no longer the one scanned: scan again. */
static void stale(void **state)
{
	char host[] = "/tmp/dirdisk-XXXXXX";
	static const char *const names[][2] = {
		{ "kernels", "vmlinuz-6.1" },
		{ "kernels", "bzImage.cmdline" },
		{ "loader/entries", "a.conf" },
		{ "loader", "entries.srel" },
	};

	assert_non_null(mkdtemp(host));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%s", host, names[i][1]);
		assert_stale(names[i][0], path);
	}
	assert_int_equal(rmdir(host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejected),
		cmocka_unit_test(stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
