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
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/range_lock.h"
#include "base/units.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "imgcore/overlay_budget.h"

/*
 * A block that was written is in the file at its own offset; the host keeps the
 * file sparse. A bitmap, in pages that are allocated when they are needed,
 * tells which blocks were written. A bit is set after the block's bytes are in
 * the file, and never cleared: readers take no lock.
 *
 * A write holds the range of its blocks. The first write of a part of a block
 * stores the rest of the block too, which it has read from the image before it
 * takes the range: no writer waits for a host file that another one reads.
 *
 * A write that fails within a block that was never written leaves the bit
 * clear, so the image's bytes stay. Within a block that was written before, it
 * leaves a torn block in the file: the block as it was to become is kept in
 * memory then, until the file takes it.
 */
#define PAGE_BITS (UINT64_C(8) * BLOCK)

typedef _Atomic uint64_t word;

/* A block that is torn in the file, as it was to become. */
struct torn_block {
	uint64_t block;
	uint8_t bytes[BLOCK];
};

struct overlay {
	const struct image *image;
	uint64_t size;
	struct overlay_budget *budget; /* or NULL */
	int tmp_fd;
	_Atomic int fd; /* -1: nothing written yet */
	pthread_mutex_t make; /* of the file and of pages */
	struct range_lock writing; /* of blocks */
	_Atomic uint64_t written; /* blocks */
	pthread_mutex_t torn_lock; /* protects torn.items, and repairs */
	struct {
		struct torn_block *items;
		_Atomic size_t count;
		size_t size;
	} torn;
	atomic_bool lost; /* a torn block found no memory */
	size_t n_pages;
	word *_Atomic pages[];
};

int overlay_new(struct overlay **ret_overlay, const struct image *image,
		int tmp_fd, struct overlay_budget *budget)
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
	o->budget = budget;
	o->n_pages = n_pages;
	atomic_init(&o->fd, -1);
	pthread_mutex_init(&o->make, NULL);
	pthread_mutex_init(&o->torn_lock, NULL);
	range_lock_init(&o->writing);
	*ret_overlay = o;
	return 0;
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	for (size_t i = 0; i < overlay->n_pages; i++)
		free(overlay->pages[i]);
	vec_free(&overlay->torn);
	range_lock_destroy(&overlay->writing);
	pthread_mutex_destroy(&overlay->torn_lock);
	pthread_mutex_destroy(&overlay->make);
	if (overlay->fd >= 0)
		close(overlay->fd);
	close(overlay->tmp_fd);
	if (overlay->budget)
		overlay_budget_give(overlay->budget,
				    overlay_data_size(overlay));
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
				 "no file for the guest's writes can be made there: %s; mount again with another TMPDIR",
				 strerror(-fd));
}

static int write_error(int err, struct diag *diag)
{
	return diag_set(
		diag, err, "TMPDIR",
		"the guest's writes cannot be kept there: %s; free some space, or mount again with another TMPDIR",
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

/* Blocks of [first, end) that were not written before; the pages are there. */
static uint64_t mark_written(struct overlay *o, uint64_t first, uint64_t end)
{
	uint64_t fresh = 0;

	for (uint64_t b = first; b < end; b++) {
		uint64_t bit = b % PAGE_BITS;

		if (is_written(o, b))
			continue;
		atomic_fetch_or_explicit(&get_page(o, b)[bit / 64],
					 UINT64_C(1) << bit % 64,
					 memory_order_release);
		fresh++;
	}
	atomic_fetch_add(&o->written, fresh);
	return fresh;
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

/* ---- torn blocks ---- */

static size_t block_len(const struct overlay *o, uint64_t block)
{
	return (size_t)min_u64(BLOCK, o->size - block * BLOCK);
}

/*
 * Puts torn blocks into the file. Called by a writer that holds its range, so
 * that none of that range is torn, or written late, after success.
 */
static int repair_torn(struct overlay *o, int fd)
{
	int result = 0;

	if (atomic_load(&o->torn.count) == 0)
		return 0;
	pthread_mutex_lock(&o->torn_lock);
	for (size_t i = o->torn.count; i-- > 0;) {
		struct torn_block *t = &o->torn.items[i];
		int r = io_pwrite(fd, t->bytes, block_len(o, t->block),
				  t->block * BLOCK);

		if (r < 0)
			result = r;
		else
			*t = o->torn.items[--o->torn.count];
	}
	pthread_mutex_unlock(&o->torn_lock);
	return result;
}

/*
 * The writer of [offset, stop) has failed within a block that was written
 * before. buf: the bytes from offset on.
 */
static int keep_torn(struct overlay *o, int fd, uint64_t block,
		     const uint8_t *buf, uint64_t offset, uint64_t stop)
{
	uint64_t start = block * BLOCK;
	uint64_t from = max_u64(start, offset);
	uint64_t to = min_u64(start + BLOCK, stop);
	struct torn_block *t;
	ssize_t n = -ENOMEM;

	pthread_mutex_lock(&o->torn_lock);
	if (vec_reserve(&o->torn, 1) == 0) {
		t = &o->torn.items[o->torn.count];
		t->block = block;
		n = io_pread(fd, t->bytes, block_len(o, block), start);
	}
	if (n >= 0) {
		memcpy(t->bytes + (from - start), buf + (from - offset),
		       to - from);
		o->torn.count++;
	}
	pthread_mutex_unlock(&o->torn_lock);
	return n < 0 ? (int)n : 0;
}

/* ---- reading ---- */

static int read_file(struct overlay *o, uint8_t *buf, size_t len,
		     uint64_t offset)
{
	ssize_t n;

	if (atomic_load(&o->lost))
		return -EIO;
	n = io_pread(atomic_load(&o->fd), buf, len, offset);
	return n < 0 ? (int)n : (size_t)n < len ? -EIO : 0;
}

static int read_with_torn(struct overlay *o, uint8_t *buf, size_t len,
			  uint64_t offset)
{
	uint64_t end = offset + len;
	int r;

	pthread_mutex_lock(&o->torn_lock);
	r = read_file(o, buf, len, offset);
	for (size_t i = 0; i < o->torn.count; i++) {
		const struct torn_block *t = &o->torn.items[i];
		uint64_t start = t->block * BLOCK;
		uint64_t from = max_u64(offset, start);
		uint64_t to = min_u64(end, start + BLOCK);

		if (from < to)
			memcpy(buf + (from - offset), t->bytes + (from - start),
			       to - from);
	}
	pthread_mutex_unlock(&o->torn_lock);
	return r;
}

static int read_written(struct overlay *o, uint8_t *buf, size_t len,
			uint64_t offset, struct diag *diag)
{
	int r = atomic_load(&o->torn.count)
			? read_with_torn(o, buf, len, offset)
			: read_file(o, buf, len, offset);

	return r == 0 ? 0
		      : diag_set(diag, r, "TMPDIR",
				 "the guest's writes cannot be read back: %s",
				 strerror(-r));
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

/* A write, with the other bytes of its first and last block. */
struct write {
	const uint8_t *buf;
	uint64_t offset; /* [offset, stop) */
	uint64_t stop;
	uint64_t first; /* blocks [first, end) */
	uint64_t end;
	size_t before; /* bytes of first_block */
	size_t after; /* bytes at the end of last_block */
	uint8_t first_block[BLOCK];
	uint8_t last_block[BLOCK];
};

/* Reads the bytes that the write lacks of blocks that were never written. */
static int read_rest(struct overlay *o, struct write *w, struct diag *diag)
{
	uint64_t last = w->end - 1;
	int r = 0;

	w->before = w->offset % BLOCK;
	w->after = last * BLOCK + block_len(o, last) - w->stop;
	if (w->before && !is_written(o, w->first))
		r = image_pread(o->image, w->first_block,
				block_len(o, w->first), w->first * BLOCK, diag);
	if (r < 0 || !w->after || is_written(o, last))
		return r;
	if (w->before && last == w->first) {
		memcpy(w->last_block, w->first_block, block_len(o, last));
		return 0;
	}
	return image_pread(o->image, w->last_block, block_len(o, last),
			   last * BLOCK, diag);
}

/* Writes all to the file, or fails; *ret_done: bytes that were written. */
static int write_file(int fd, const struct write *w, size_t *ret_done)
{
	struct iovec iov[] = {
		{ (void *)w->first_block, w->before },
		{ (void *)w->buf, w->stop - w->offset },
		{ (void *)(w->last_block + w->stop % BLOCK), w->after },
	};
	uint64_t start = w->offset - w->before;
	size_t len = w->stop + w->after - start;
	struct iovec *next = iov + (w->before == 0);
	struct iovec *end = iov + 3 - (w->after == 0);

	for (*ret_done = 0; *ret_done < len;) {
		ssize_t n = pwritev(fd, next, (int)(end - next),
				    (off_t)(start + *ret_done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		*ret_done += (size_t)n;
		for (; next < end && (size_t)n >= next->iov_len; next++)
			n -= (ssize_t)next->iov_len;
		if (n > 0) {
			next->iov_base = (uint8_t *)next->iov_base + n;
			next->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Stores the blocks; the caller holds their range. */
static int store(struct overlay *o, int fd, const struct write *w,
		 struct diag *diag)
{
	uint64_t start = w->offset - w->before;
	uint64_t fresh = 0, marked, full, at;
	size_t done;
	int r;

	for (uint64_t b = w->first; b < w->end; b++) {
		if (!is_written(o, b))
			fresh++;
		if (!get_page(o, b))
			return diag_set(diag, -ENOMEM, NULL, NULL);
	}
	r = repair_torn(o, fd);
	if (r < 0)
		return write_error(r, diag);
	if (o->budget && fresh) {
		r = overlay_budget_take(o->budget, fresh * BLOCK, diag);
		if (r < 0)
			return r;
	}
	r = write_file(fd, w, &done);
	at = start + done;
	full = r == 0 ? w->end : at / BLOCK;
	if (r < 0 && at > max_u64(start, full * BLOCK) && is_written(o, full) &&
	    keep_torn(o, fd, full, w->buf, w->offset, w->stop) < 0)
		atomic_store(&o->lost, true);
	marked = mark_written(o, w->first, full);
	if (o->budget && fresh > marked)
		overlay_budget_give(o->budget, (fresh - marked) * BLOCK);
	return r < 0 ? write_error(r, diag) : 0;
}

int overlay_pwrite(struct overlay *overlay, const void *buf, size_t len,
		   uint64_t offset, struct diag *diag)
{
	struct write w; /* not initialised: 8 KiB that few writes need */
	struct range range;
	int fd, r;

	if (offset > overlay->size || len > overlay->size - offset)
		return diag_set(diag, -ENOSPC, NULL, "behind the disk's end");
	if (len == 0)
		return 0;
	w.buf = buf;
	w.offset = offset;
	w.stop = offset + len;
	w.first = offset / BLOCK;
	w.end = div_up(w.stop, BLOCK);
	fd = overlay_file(overlay, diag);
	if (fd < 0)
		return fd;
	r = read_rest(overlay, &w, diag);
	if (r < 0)
		return r;
	range.start = w.first;
	range.end = w.end;
	range_acquire(&overlay->writing, &range);
	/* Another write stored the block meanwhile: its other bytes stay. */
	if (is_written(overlay, w.first))
		w.before = 0;
	if (is_written(overlay, w.end - 1))
		w.after = 0;
	r = store(overlay, fd, &w, diag);
	range_release(&overlay->writing, &range);
	return r;
}

int overlay_flush(struct overlay *overlay, struct diag *diag)
{
	int fd = atomic_load(&overlay->fd);
	int r;

	if (fd < 0)
		return 0;
	r = repair_torn(overlay, fd);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	return r < 0 ? write_error(r, diag) : 0;
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
