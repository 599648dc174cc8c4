/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_IMAGE_H
#define IMGCORE_IMAGE_H

/*
 * The disk: a partition table, GRUB after it, and partitions, each of which
 * holds a volume, as a map of regions that tile [0, size) and are computed when
 * they are read.
 *
 *     sector 0          boot.img with the partition table
 *     1 ... 2047        core.img, then zeroes
 *     2048 ...          partition 1, ext2: /boot
 *     ...               partition 2, ext2: everything else
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Ownership: image_build's result is freed by image_free.
 * Threading: an image is immutable; any number of threads may read it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "imgcore/boot.h"
#include "imgcore/tree.h"
#include "imgcore/volume.h"

struct diag;
struct image;
struct watch;

/* Holes and data begin and end with whole blocks. */
#define IMAGE_BLOCK BLOCK

/* The trees that a disk is made of. */
enum image_part {
	IMAGE_PART_BOOT, /* on partition 1 */
	IMAGE_PART_SYSTEM, /* on partition 2 */
	IMAGE_PART_ARCHIVES, /* directories, each shown as one file on partition
				2 */
};
#define IMAGE_PARTS 3

struct image_trees {
	struct tree *tree[IMAGE_PARTS];
	struct boot_kernels *kernels; /* that are in them */
};

struct image_options {
	/* The source; src_fd stays the caller's. */
	int src_fd;
	const char *src_path;
	struct tree_scan_options scan; /* image_build sets the part */
	/* Bytes, multiples of 512; 0: as large as the content needs. */
	uint64_t size;
	uint64_t boot_size; /* partition 1, likewise */
	uint64_t free; /* bytes that a guest can still write */
	/*
	 * A host file that is no longer the one scanned gives the bytes that
	 * are there, and zeroes where there are none, instead of -ESTALE.
	 */
	bool serve_stale;
	/*
	 * 16 bytes for the file system on partition 2; all other identifiers
	 * follow from them. NULL: all follow from the content.
	 */
	const uint8_t *uuid;
	struct boot_options boot;
};

/* Scans, and lays the disk out. Writes nothing to host storage. */
int image_build(const struct image_options *options, struct image **ret_image,
		struct diag *diag);
void image_free(struct image *image);

/*
 * The steps of image_build, for callers that make images of one source again:
 *     image_find_grub, once; then image_scan and image_assemble for each.
 */

/*
 * The boot loader; NULL where none is wanted. Runs grub-mkimage. The caller
 * frees it; no image depends on it.
 */
int image_find_grub(const struct image_options *options,
		    struct boot_grub **ret_grub, struct diag *diag);

/* An earlier tree of a part, and what may have changed since. */
struct image_changed {
	const struct tree *previous; /* NULL: all is read */
	const tree_id *dirs; /* its directories, sorted */
	size_t n;
};

/*
 * The trees, grub's files and its menu in them. changed: of each part; it and
 * grub may be NULL.
 */
int image_scan(const struct image_options *options,
	       const struct boot_grub *grub,
	       const struct image_changed changed[IMAGE_PARTS],
	       struct image_trees *ret_trees, struct diag *diag);
void image_trees_release(struct image_trees *trees);
/*
 * The disk of such trees, which need no menu and may come from elsewhere; those
 * on partitions must have lost+found below their roots. It is not made if an
 * error was reported to a sink of diag, here or before: then that error. Takes
 * the trees over on success, and leaves *trees empty. What an earlier disk
 * (NULL: none) knows of directories that the trees share is not computed again.
 */
int image_assemble(const struct image_options *options,
		   const struct boot_grub *grub, struct image_trees *trees,
		   const struct image *previous, struct image **ret_image,
		   struct diag *diag);

/* Sets st_dev of our own mount, once it is there. Any thread. */
void image_set_own_dev(struct image *image, uint64_t own_dev);

/*
 * Pins host files that a boot reads: keeps them open as long as the image
 * lives. One that is then replaced by rename, or removed, is still read whole.
 * They are those below kernels/ on partition 2, those on partition 1 and those
 * in archives, the ones nearest to the root first; then some of those with
 * several names. One that previous (may be NULL) has pinned, and is still the
 * same, is shared with it.
 * watch: watches each of them, and tells the image which other files were
 * written since the moment `since`. NULL: nothing does.
 * budget: the number of descriptors that all images that share pinned files
 * with this one may keep open together. When it is reached, or the limit of the
 * process, the other files are opened when they are read, as before.
 * -ESTALE: a file is no longer the one scanned; scan again.
 * Call it once, before another thread reads the image; previous may be read
 * meanwhile.
 */
int image_pin(struct image *image, const struct image *previous, size_t budget,
	      struct watch *watch, uint64_t since, struct diag *diag);
/*
 * Closes the cached files of this image, and of those that it shares
 * descriptors with: for a caller that ran out of descriptors.
 */
void image_drop_cached(const struct image *image);
/* How many are kept. */
size_t image_pinned(const struct image *image);

/* Calls found for each file that is watched: one of its names, its watch. */
typedef void image_watched_fn(void *context, enum image_part part, tree_id name,
			      int32_t watch, int fd);
void image_watched(const struct image *image, image_watched_fn *found,
		   void *context);

/* What there is to boot; NULL: nobody looked. */
const struct boot_kernels *image_kernels(const struct image *image);
/* One of the trees; NULL: there are no archives. */
const struct tree *image_tree(const struct image *image, enum image_part part);

uint64_t image_size(const struct image *image);
/* Bytes that are neither hole nor zero by construction, for st_blocks. */
uint64_t image_data_size(const struct image *image);

/*
 * Fills all of buf with [offset, offset + len), which must lie within the
 * image, or returns a negative errno: -ESTALE where a host file is no longer
 * the one that was scanned (with serve_stale: where none is left). What was
 * served although it is stale is named in the diagnostic, which the caller
 * clears: the last one, where there are several. Takes no lock while it reads.
 */
int image_pread(const struct image *image, void *buf, size_t len,
		uint64_t offset, struct diag *diag);

struct image_stale {
	enum image_part part; /* whose tree it is */
	tree_id node;
};
#define IMAGE_STALE_MAX 64

/*
 * The host files that reads have seen to be stale since this was last asked,
 * each once; served ones too. *ret_more: there were still others.
 */
size_t image_take_stale(const struct image *image,
			struct image_stale ret_stale[IMAGE_STALE_MAX],
			bool *ret_more);

/*
 * The region that offset (below the size) lies in. The first starts at 0, each
 * next one at the end of the last: walking them visits every byte once.
 */
void image_region_at(const struct image *image, uint64_t offset,
		     struct region *ret_region);

/* The first data (hole) at or after offset; the size where there is none. */
uint64_t image_next_data(const struct image *image, uint64_t offset);
uint64_t image_next_hole(const struct image *image, uint64_t offset);

#endif
