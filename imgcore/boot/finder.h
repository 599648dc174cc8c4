/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_FINDER_H
#define BOOT_FINDER_H

/*
 * What the search for kernels has found so far, on both partitions.
 *
 * Errors: 0 or -ENOMEM. Threading: one thread at a time.
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "boot/bls.h"
#include "imgcore/boot.h"
#include "imgcore/tree.h"

struct kernel {
	struct boot_entry entry; /* filled step by step */
	tree_id dir; /* that it is in */
	tree_id node; /* its name there */
	tree_id file; /* that it leads to */
	int64_t mtime; /* of the file */
	uint32_t mtime_ns;
	bool unversioned; /* by its name */
	bool on_top; /* of the menu: unversioned, and directly in kernels/ */
	bool named; /* found by its name, not only by an entry */
	bool replaced; /* by entries of the Boot Loader Specification */
	bool too_many_initrds; /* more than INITRDS_MAX beside it */
	char *embedded_version; /* or NULL */
	uint32_t cmdline_size;
	struct bls bls; /* of its entry, if any */
};

struct kernels {
	struct kernel *items;
	size_t count;
	size_t size;
};

struct rejects {
	struct boot_reject *items;
	size_t count;
	size_t size;
	struct {
		char **items;
		size_t count;
		size_t size;
	} reasons; /* those that are theirs alone */
};

/* Nodes of one tree: initrds, command lines. */
struct nodes {
	tree_id *items;
	size_t count;
	size_t size;
};

/* What is found, and where. */
struct finder {
	const struct boot_target *target;
	const struct tree *trees[2];
	struct kernels kernels;
	size_t size; /* bytes of all kernels without arguments: finder_add_size
		      */
	size_t arguments_size;
	size_t n_named; /* kernels found by name: entries_find */
	struct rejects rejects;
	struct nodes used[2]; /* files that a kernel's name asks for */
	struct diag *diag;
};

/* A directory with kernels in it. */
struct kernel_dir {
	const char *path; /* without a '/' at its ends */
	const char *name; /* NAME of kernels/NAME/, or NULL */
	unsigned partition;
	tree_id node;
};

void finder_clear(struct finder *finder);
void kernel_clear(struct kernel *kernel);
void rejects_clear(struct rejects *rejects);
void boot_entry_clear(struct boot_entry *entry);

/* Rejects a file for a reason that is a constant: there may be many. */
int finder_reject(struct finder *finder, unsigned partition, const char *path,
		  const char *reason, bool is_kernel);
/* Rejects a kernel, or its entry; takes over the reason, also on failure. */
int finder_reject_kernel(struct finder *finder, unsigned partition,
			 const char *path, char *reason);
/*
 * Adds `size` to *total, the bytes held for all kernels. If that exceeds
 * FOUND_MAX, sets a reason instead, which the caller frees. 0 or -ENOMEM.
 */
#define FOUND_MAX ((size_t)64 << 20)
int finder_add_size(size_t *total, size_t size, char **ret_reason);
/* Bytes held for a kernel, without its arguments. */
size_t kernel_size(const struct kernel *kernel);
/* Marks a file as one that a kernel has. */
int finder_use(struct finder *finder, unsigned partition, tree_id node);

/* Finds its file FILE.cmdline, or TREE_NONE: 0 or -ENOMEM. */
int kernel_find_cmdline(const struct finder *finder,
			const struct kernel *kernel, tree_id *ret_node);

/* Adds an initrd by its path, which it takes over, also on failure. */
int finder_add_initrd(struct boot_entry *entry, char *path);

/* The result: the kernels of the menu, in its order, and the rejects. */
struct boot_kernels {
	struct {
		struct boot_entry *items;
		size_t count;
		size_t size;
	} entries;
	struct rejects rejects;
	const struct boot_target *target;
	bool no_default; /* --default is none of them */
	struct boot_placeholders placeholders; /* in the menu made last */
};

#endif
