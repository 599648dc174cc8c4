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
		cmocka_unit_test(rejected),
		cmocka_unit_test(stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
