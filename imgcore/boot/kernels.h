/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_KERNELS_H
#define BOOT_KERNELS_H

/*
 * The kernels of a directory of a tree, by the rules that users of
 * grub-mkconfig know: `vmlinuz-*` and `kernel-*`, with an initrd of the same
 * version beside them; and `vmlinuz` and `bzImage` alone, which it never takes.
 */

#include "base/cleanup.h"
#include "imgcore/tree.h"

struct kernel {
	char *file; /* its name in the directory */
	char *path; /* from the partition's root: "/kernels/vmlinuz-6.1" */
	char *initrd; /* likewise, or NULL */
	char *version;
	unsigned partition;
};

/* A file beside them that is none, and why; or an initrd, of one or of none. */
struct no_kernel {
	char *path;
	const char *reason;
};

struct kernels {
	struct kernel *items;
	size_t count;
	size_t size;
	struct {
		struct no_kernel *items;
		size_t count;
		size_t size;
	} others;
};

/*
 * Adds what tree has in the directory dir, a path without a '/' at its ends.
 * A file is regular, or a symbolic link to one in the same tree, which is the
 * partition, so GRUB can follow it. No such directory: no kernel. 0 or -ENOMEM.
 */
int kernels_find(struct kernels *kernels, const struct tree *tree,
		 const char *dir, unsigned partition);
/* Newest first; of the same version, the higher partition, then by name. */
void kernels_sort(struct kernels *kernels);
void kernels_clear(struct kernels *kernels);

#define _cleanup_kernels_ _cleanup_(kernels_clear)

#endif
