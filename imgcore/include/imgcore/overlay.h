/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OVERLAY_H
#define IMGCORE_OVERLAY_H

/*
 * What a guest has written, over an image: copy on write in blocks of 4 KiB,
 * in an unlinked temporary file that is made at the first write and removed
 * when the overlay is freed. Memory grows with what is written, one bit a
 * block, in pages.
 *
 * Errors: 0 or a negative errno; a full temporary directory is -ENOSPC.
 * Threading: any number of threads may read and write. Overlapping writes at
 * the same time end in some order for each block, as on a disk.
 */

#include <stddef.h>
#include <stdint.h>

struct diag;
struct image;
struct overlay;
struct overlay_budget;

/*
 * tmp_fd: the directory for the file; duplicated. image, and budget (NULL:
 * there is no limit), must outlive it.
 */
int overlay_new(struct overlay **ret_overlay, const struct image *image,
		int tmp_fd, struct overlay_budget *budget);
void overlay_free(struct overlay *overlay);

/* As image_pread, with what was written in place of the image's bytes. */
int overlay_pread(struct overlay *overlay, void *buf, size_t len,
		  uint64_t offset, struct diag *diag);
/*
 * Writes all of buf, or fails. After a failure each block is either as it was
 * or as it was to become, never a mixture; if memory has also run out, what was
 * written can no longer be read (-EIO).
 */
int overlay_pwrite(struct overlay *overlay, const void *buf, size_t len,
		   uint64_t offset, struct diag *diag);
/* What was written so far is on stable storage when this returns 0. */
int overlay_flush(struct overlay *overlay, struct diag *diag);

/* As image_next_data and image_next_hole. */
uint64_t overlay_next_data(struct overlay *overlay, uint64_t offset);
uint64_t overlay_next_hole(struct overlay *overlay, uint64_t offset);
/* Bytes of blocks that have been written. */
uint64_t overlay_data_size(const struct overlay *overlay);

#endif
