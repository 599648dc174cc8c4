/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_EXT2_H
#define IMGCORE_EXT2_H

/*
 * An ext2 file system as a volume (imgcore/volume.h): each block is computed
 * from the tree and the file system's layout.
 *
 * It is compact: a few bytes per inode, a small table per block group, four
 * bytes per name of a directory that has an index (all beyond one block), which
 * volumes of trees that share the directory share.
 * Nothing that is as large as the file system's metadata is ever held.
 *
 * Block 4096 bytes, inode 256, revision 1; features filetype, sparse_super,
 * large_file, ext_attr, dir_index (and dir_nlink, huge_file where a directory
 * or a file needs them): ext2 for every driver.
 *
 * Source: the kernel's Documentation/filesystems/ext4, e2fsprogs' ext2_fs.h.
 * Errors: 0 or a negative errno with a diagnostic that names the path.
 * Threading: see imgcore/volume.h.
 */

#include <stdint.h>

#include "base/units.h"
#include "imgcore/tree.h"
#include "imgcore/volume.h"

struct diag;

#define EXT2_BLOCK BLOCK

struct ext2_options {
	uint64_t size; /* bytes of the partition */
	uint64_t free; /* bytes that must stay free */
	const uint8_t *uuid; /* 16 bytes */
	const char *label; /* at most 16 bytes */
};

/*
 * What a tree needs, whatever the size of the partition: checks every limit of
 * the format (a failure names the path). seed: of the hash that orders the
 * names in indexed directories; the superblock tells it to drivers. previous
 * (may be NULL): the volume of an earlier tree with the same seed; what it
 * knows of directories that the trees share is not computed again. If diag has
 * a sink, everything that the format cannot hold is reported; the result then
 * has a valid size, but no volume can be made of it.
 */
struct ext2_contents;
int ext2_contents_new(struct ext2_contents **ret_contents,
		      const struct tree *tree, const uint8_t seed[16],
		      const struct volume *previous, struct diag *diag);
void ext2_contents_free(struct ext2_contents *contents);
/* The smallest partition, in bytes, that holds it with `free` bytes left. */
int ext2_contents_size(const struct ext2_contents *contents, uint64_t free,
		       uint64_t *ret_size, struct diag *diag);

/* Takes contents over on success; the tree must outlive the volume. */
int ext2_volume_new(struct volume **ret_volume, struct ext2_contents *contents,
		    const struct ext2_options *options, struct diag *diag);

#endif
