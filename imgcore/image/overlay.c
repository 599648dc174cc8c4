/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"

/*
 * A written block stands in the file at its own offset, which the host keeps
 * sparse. Which blocks were written is told by a bitmap in pages that are made
 * when they are needed. A bit is set behind the block's bytes, never before,
 * and never cleared: so readers take no lock.
 *
 * Who writes the first part of a block copies the rest of it, alone: a write
 * that came between would be lost. All other writers share the lock.
 */
#define BLOCK	  4096u
#define PAGE_BITS (UINT64_C(8) * 4096)

typedef _Atomic uint64_t word;

struct overlay {
	const struct image *image;
	uint64_t size;
	int tmp_fd;
	_Atomic int fd; /* -1: nothing written yet */
	pthread_mutex_t make; /* of the file and of pages */
	pthread_rwlock_t copying;
	_Atomic uint64_t written; /* blocks */
	size_t n_pages;
	word *_Atomic pages[];
};

int overlay_new(struct overlay **ret_overlay, const struct image *image,
		int tmp_fd)
{
	uint64_t size = image_size(image);
	size_t n_pages = (size_t)div_up(div_up(size, BLOCK), PAGE_BITS);
	struct overlay *o = calloc(1,
				   sizeof(*o) + n_pages * sizeof(o->pages[0]));

	if (!o)
		return -ENOMEM;
	o->tmp_fd = fcntl(tmp_fd, F_DUPFD_CLOEXEC, 3);
	if (o->tmp_fd < 0) {
		int err = -errno;

		free(o);
		return err;
	}
	o->image = image;
	o->size = size;
	o->n_pages = n_pages;
	atomic_init(&o->fd, -1);
	pthread_mutex_init(&o->make, NULL);
	pthread_rwlock_init(&o->copying, NULL);
	*ret_overlay = o;
	return 0;
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	for (size_t i = 0; i < overlay->n_pages; i++)
		free(overlay->pages[i]);
	pthread_rwlock_destroy(&overlay->copying);
	pthread_mutex_destroy(&overlay->make);
	if (overlay->fd >= 0)
		close(overlay->fd);
	close(overlay->tmp_fd);
	free(overlay);
}

/* ---- the file ---- */

static int open_named(int dir)
{
	for (int tries = 0; tries < 100; tries++) {
		uint64_t random;
		char name[40];
		int fd;

		if (getrandom(&random, sizeof(random), 0) < 0)
			return -errno;
		snprintf(name, sizeof(name), ".dirdisk-%016llx",
			 (unsigned long long)random);
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			    0600);
		if (fd >= 0) {
			unlinkat(dir, name, 0);
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int open_unlinked(int dir)
{
	int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* Not every file system has files without a name. */
	return errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT
		       ? open_named(dir)
		       : -errno;
}

static int overlay_file(struct overlay *o, struct diag *diag)
{
	int fd = atomic_load(&o->fd);

	if (fd >= 0)
		return fd;
	pthread_mutex_lock(&o->make);
	fd = atomic_load(&o->fd);
	if (fd < 0) {
		fd = open_unlinked(o->tmp_fd);
		if (fd >= 0)
			atomic_store(&o->fd, fd);
	}
	pthread_mutex_unlock(&o->make);
	return fd >= 0 ? fd
		       : diag_set(
				 diag, fd, "TMPDIR",
				 "no file for the guest's writes can be made there: %s",
				 strerror(-fd));
}

static int write_error(int err, struct diag *diag)
{
	return diag_set(diag, err, "TMPDIR",
			"the guest's writes cannot be kept there: %s",
			strerror(-err));
}

/* ---- the bitmap ---- */

static bool is_written(const struct overlay *o, uint64_t block)
{
	word *page = atomic_load_explicit(&o->pages[block / PAGE_BITS],
					  memory_order_acquire);
	uint64_t bit = block % PAGE_BITS;

	return page &&
	       (atomic_load_explicit(&page[bit / 64], memory_order_acquire) >>
			(bit % 64) &
		1);
}

/* The page of a block, made if there is none. */
static word *get_page(struct overlay *o, uint64_t block)
{
	word *_Atomic *slot = &o->pages[block / PAGE_BITS];
	word *page = atomic_load_explicit(slot, memory_order_acquire);

	if (page)
		return page;
	pthread_mutex_lock(&o->make);
	page = atomic_load(slot);
	if (!page) {
		page = calloc(PAGE_BITS / 64, sizeof(*page));
		atomic_store_explicit(slot, page, memory_order_release);
	}
	pthread_mutex_unlock(&o->make);
	return page;
}

static int mark_written(struct overlay *o, uint64_t block)
{
	word *page = get_page(o, block);
	uint64_t bit = block % PAGE_BITS;
	uint64_t mask = UINT64_C(1) << bit % 64;

	if (!page)
		return -ENOMEM;
	if (!(atomic_fetch_or_explicit(&page[bit / 64], mask,
				       memory_order_release) &
	      mask))
		atomic_fetch_add(&o->written, 1);
	return 0;
}

/*
 * The end of the run of blocks that are (not) written, from `block`. Who has
 * asked is_written of a block goes on from the next one: asked again, it may
 * have been written meanwhile.
 */
static uint64_t run_end(const struct overlay *o, uint64_t block, uint64_t limit,
			bool written)
{
	while (block < limit && is_written(o, block) == written) {
		/* Whole pages that were never made go by at once. */
		if (!written && !o->pages[block / PAGE_BITS])
			block = round_down(block, PAGE_BITS) + PAGE_BITS;
		else
			block++;
	}
	return min_u64(block, limit);
}

/* ---- reading ---- */

static int read_written(struct overlay *o, uint8_t *buf, size_t len,
			uint64_t offset, struct diag *diag)
{
	ssize_t n = io_pread(atomic_load(&o->fd), buf, len, offset);

	if (n < 0)
		return diag_set(diag, (int)n, "TMPDIR",
				"the guest's writes cannot be read back: %s",
				strerror((int)-n));
	/* The disk may end within a block that the file ends with. */
	memset(buf + n, 0, len - (size_t)n);
	return 0;
}

int overlay_pread(struct overlay *overlay, void *buf, size_t len,
		  uint64_t offset, struct diag *diag)
{
	uint8_t *p = buf;
	uint64_t end;

	if (atomic_load(&overlay->fd) < 0)
		return image_pread(overlay->image, buf, len, offset, diag);
	if (offset > overlay->size || len > overlay->size - offset)
		return diag_set(diag, -EINVAL, NULL, "behind the disk's end");
	end = offset + len;
	while (offset < end) {
		bool written = is_written(overlay, offset / BLOCK);
		uint64_t stop = run_end(overlay, offset / BLOCK + 1,
					div_up(end, BLOCK), written);
		size_t n = min_u64(stop * BLOCK, end) - offset;
		int r = written ? read_written(overlay, p, n, offset, diag)
				: image_pread(overlay->image, p, n, offset,
					      diag);

		if (r < 0)
			return r;
		p += n;
		offset += n;
	}
	return 0;
}

/* ---- writing ---- */

/* Whole blocks, or part of one that was written before. */
static int write_blocks(struct overlay *o, int fd, const uint8_t *buf,
			size_t len, uint64_t offset, struct diag *diag)
{
	int r = io_pwrite(fd, buf, len, offset);

	if (r < 0)
		return write_error(r, diag);
	for (uint64_t b = offset / BLOCK; b < div_up(offset + len, BLOCK);
	     b++) {
		r = mark_written(o, b);
		if (r < 0)
			return diag_set(diag, r, NULL, NULL);
	}
	return 0;
}

/* The first part of a block that is written: the rest is copied with it. */
static int copy_block(struct overlay *o, int fd, const uint8_t *buf, size_t len,
		      uint64_t offset, struct diag *diag)
{
	uint64_t start = round_down(offset, BLOCK);
	size_t block_len = min_u64(BLOCK, o->size - start);
	uint8_t block[BLOCK];
	int r = image_pread(o->image, block, block_len, start, diag);

	if (r < 0)
		return r;
	memcpy(block + (offset - start), buf, len);
	return write_blocks(o, fd, block, block_len, start, diag);
}

/* Blocks as a whole, or part of one. */
static int write_run(struct overlay *o, int fd, const uint8_t *buf, size_t len,
		     uint64_t offset, struct diag *diag)
{
	bool part = len % BLOCK != 0;
	int r;

	pthread_rwlock_rdlock(&o->copying);
	if (!part || is_written(o, offset / BLOCK)) {
		r = write_blocks(o, fd, buf, len, offset, diag);
		pthread_rwlock_unlock(&o->copying);
		return r;
	}
	pthread_rwlock_unlock(&o->copying);
	pthread_rwlock_wrlock(&o->copying);
	r = is_written(o, offset / BLOCK)
		    ? write_blocks(o, fd, buf, len, offset, diag)
		    : copy_block(o, fd, buf, len, offset, diag);
	pthread_rwlock_unlock(&o->copying);
	return r;
}

int overlay_pwrite(struct overlay *overlay, const void *buf, size_t len,
		   uint64_t offset, struct diag *diag)
{
	const uint8_t *p = buf;
	int fd;

	if (offset > overlay->size || len > overlay->size - offset)
		return diag_set(diag, -ENOSPC, NULL, "behind the disk's end");
	fd = overlay_file(overlay, diag);
	if (fd < 0)
		return fd;
	while (len > 0) {
		size_t head = offset % BLOCK;
		size_t n = head || len < BLOCK ? min_u64(BLOCK - head, len)
					       : round_down(len, BLOCK);
		int r = write_run(overlay, fd, p, n, offset, diag);

		if (r < 0)
			return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int overlay_flush(struct overlay *overlay, struct diag *diag)
{
	int fd = atomic_load(&overlay->fd);

	if (fd < 0 || fdatasync(fd) == 0)
		return 0;
	return write_error(-errno, diag);
}

/* ---- the map ---- */

uint64_t overlay_data_size(const struct overlay *overlay)
{
	return atomic_load(&overlay->written) * BLOCK;
}

uint64_t overlay_next_data(struct overlay *overlay, uint64_t offset)
{
	uint64_t limit = div_up(overlay->size, BLOCK);
	uint64_t data = image_next_data(overlay->image, offset);
	uint64_t block;

	if (offset >= overlay->size)
		return overlay->size;
	if (atomic_load(&overlay->written) == 0)
		return data;
	if (is_written(overlay, offset / BLOCK))
		return offset;
	block = run_end(overlay, offset / BLOCK + 1,
			min_u64(limit, div_up(data, BLOCK)), false);
	return min_u64(data, block * BLOCK);
}

uint64_t overlay_next_hole(struct overlay *overlay, uint64_t offset)
{
	uint64_t limit = div_up(overlay->size, BLOCK);

	if (atomic_load(&overlay->written) == 0)
		return image_next_hole(overlay->image, offset);
	while (offset < overlay->size) {
		uint64_t block = offset / BLOCK;

		if (!is_written(overlay, block)) {
			uint64_t hole = image_next_hole(overlay->image, offset);
			uint64_t stop = BLOCK * run_end(overlay, block + 1,
							limit, false);

			if (hole < stop)
				return min_u64(hole, overlay->size);
			offset = stop;
		} else {
			offset = BLOCK *
				 run_end(overlay, block + 1, limit, true);
		}
	}
	return overlay->size;
}
