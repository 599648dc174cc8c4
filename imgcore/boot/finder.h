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
	tree_id file; /* what that leads to */
	int64_t mtime; /* of the file */
	uint32_t mtime_ns;
	bool bare; /* its name says no version */
	bool tried; /* bare, and right in kernels/ */
	bool found; /* by its name, not by an entry alone */
	bool replaced; /* entries stand for it */
	bool too_many_initrds; /* more than INITRDS_MAX beside it */
	char *inside; /* the version inside, or NULL */
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
	size_t taken; /* bytes of all kernels but arguments: finder_take */
	size_t taken_arguments;
	size_t n_named; /* kernels found by name: entries_find */
	struct rejects rejects;
	struct nodes used[2]; /* files that a kernel's name asks for */
	struct diag *diag;
};

/* A directory with kernels in it. */
struct place {
	const char *path; /* without a '/' at its ends */
	const char *name; /* NAME of kernels/NAME/, or NULL */
	unsigned partition;
	tree_id dir;
};

void finder_clear(struct finder *finder);
void kernel_clear(struct kernel *kernel);
void rejects_clear(struct rejects *rejects);
void boot_entry_clear(struct boot_entry *entry);

/* With a reason that stays: there may be as many rejects as files. */
int finder_reject(struct finder *finder, unsigned partition, const char *path,
		  const char *reason, bool is_kernel);
/* For a kernel, with a reason that it takes over, also when it fails. */
int finder_reject_kernel(struct finder *finder, unsigned partition,
			 const char *path, char *reason);
/*
 * Adds `size` to *taken, the bytes held for all kernels. If that exceeds
 * FOUND_MAX, sets a reason, which the caller frees, instead. 0 or -ENOMEM.
 */
#define FOUND_MAX ((size_t)64 << 20)
int finder_take(size_t *taken, size_t size, char **ret_reason);
/* Bytes held for a kernel, without its arguments. */
size_t kernel_size(const struct kernel *kernel);
/* Marks a file as one that a kernel has. */
int finder_use(struct finder *finder, unsigned partition, tree_id node);

/* Its file FILE.cmdline, or TREE_NONE: 0 or -ENOMEM. */
int kernel_find_cmdline(const struct finder *finder,
			const struct kernel *kernel, tree_id *ret_node);

/* Adds one by its path, which it takes over, also when it fails. */
int entry_add_initrd(struct boot_entry *entry, char *path);

#endif
