/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_ARCHIVE_H
#define IMGCORE_ARCHIVE_H

/*
 * A directory of a tree as a newc cpio archive, for the kernel to unpack as an
 * initramfs. What stays in memory is a small record per entry; headers are
 * rendered and files read when the archive is.
 *
 * Source: the kernel's Documentation/driver-api/early-userspace/
 * buffer-format.rst, and what GNU cpio 2.13 writes.
 *
 * Errors: 0 or a negative errno with a diagnostic; -ESTALE: a host file is not
 * the one that was scanned.
 * Ownership: the tree outlives the archive, which cpio_free frees.
 * Threading: immutable; any number of threads may read one.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "imgcore/tree.h"

struct cpio;
struct diag;

enum cpio_layout {
	/*
	 * Every entry of the directory, "." first, each directory before what
	 * is in it, siblings bytewise by name: byte for byte what `cpio -o -H
	 * newc --reproducible` makes of these names. Links from elsewhere do
	 * not count, times are clamped to the format's 32 bits. A regular file
	 * `devices` is no entry but a list of some (archive/devices.h).
	 */
	CPIO_AS_IS,
	/*
	 * Kernel modules, to be unpacked over another archive. A directory that
	 * contains lib or usr is a tree as `make modules_install` leaves it;
	 * any other is itself a /lib/modules/V, V from the directory's name,
	 * modules-V. A directory's name has a '/' at its end: the kernel then
	 * leaves an existing directory, or a link to one (`lib`), as it is;
	 * otherwise it would remove it.
	 */
	CPIO_MODULES,
};

int cpio_new(struct cpio **ret_cpio, const struct tree *tree, tree_id dir,
	     enum cpio_layout layout, struct diag *diag);
void cpio_free(struct cpio *cpio);

/* Bytes; a multiple of 512. */
uint64_t cpio_size(const struct cpio *cpio);
/* The latest modification time of anything in it. */
void cpio_time(const struct cpio *cpio, int64_t *ret_seconds, uint32_t *ret_ns);

/*
 * Fills all of buf; the range lies within the archive. All bytes of one file
 * are read in one call.
 */
int cpio_pread(const struct cpio *cpio, const struct content_reader *reader,
	       void *buf, size_t len, uint64_t offset);

/* The archive as the content of a file, whose release frees it. */
struct content *cpio_content(struct cpio *cpio);

DEFINE_CLEANUP(struct cpio, cpio_free)
#define _cleanup_cpio_ _cleanup_(cpio_freep)

#endif
