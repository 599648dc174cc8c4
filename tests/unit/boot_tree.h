/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_BOOT_TREE_H
#define TESTS_BOOT_TREE_H

/* Trees in memory to boot from, and what was found in them. */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

DEFINE_CLEANUP(struct boot_kernels, boot_kernels_free)
#define _cleanup_boot_ _cleanup_(boot_kernels_freep)

/*
 * A file of this path; a symbolic link where there is a target; a directory
 * where the path ends with '/'. What says nothing else is a whole kernel.
 */
struct file {
	const char *path;
	const char *target;
	const char *text;
	const uint8_t *bytes;
	size_t len; /* of bytes; 0 with bytes: an empty file */
	const char *version; /* inside of the kernel that it is */
	int64_t mtime;
	uint32_t mode; /* 0: 0755 */
	uint32_t cmdline_size; /* of the kernel; 0: 2047 */
};

/* A kernel of so many bytes at least; the caller frees. */
uint8_t *kernel_bytes(const char *version, size_t size, size_t *ret_len);

/* The tree of these files, up to one without a path. */
struct tree *files_tree(const struct file *files);

/*
 * What there is to boot; boot/... of the files is partition 1, the rest is 2.
 * find_fails expects an error and gives it.
 */
struct boot_kernels *find(const struct file *files,
			  const struct boot_options *options);
int find_fails(const struct file *files, const struct boot_options *options,
	       struct diag *diag);

/* The paths of the entries are these, in this order, up to NULL. */
void assert_paths(const struct boot_kernels *kernels, const char *const *paths);
/* The entry of that path, or a failure. */
const struct boot_entry *entry_of(const struct boot_kernels *kernels,
				  const char *path);
/* A reject of that path has this text in its reason. */
void assert_rejected(const struct boot_kernels *kernels, const char *path,
		     const char *words);
/* The initrds of the entry are these, up to NULL. */
void assert_initrds(const struct boot_entry *entry, const char *const *paths);

#define PATHS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_PATHS   ((const char *const[]){ NULL })

#endif
