/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "content.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/math.h"
#include "disk.h"
#include "generations.h"
#include "mount.h"

#define BUFFER_ALIGN 4096

static struct disk *disk_of(const struct fuse_file_info *fi)
{
	return served_disk((const struct served *)(uintptr_t)fi->fh);
}

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_buffer_key(void)
{
	if (pthread_key_create(&buffer_key, free) != 0)
		abort();
}

void *content_buffer(void)
{
	void *buf;

	pthread_once(&buffer_once, make_buffer_key);
	buf = pthread_getspecific(buffer_key);
	if (buf)
		return buf;
	buf = aligned_alloc(BUFFER_ALIGN, MOUNT_MAX_READ);
	if (buf && pthread_setspecific(buffer_key, buf) != 0) {
		free(buf);
		return NULL;
	}
	return buf;
}

/* Below that, asking whether all is zero costs more than it saves. */
#define LARGE_READ (1u << 16)
#define ZERO_PAGE  4096u

/* Zeroes are one page, as often as it takes: it stays in the processor. */
static void reply_zeroes(fuse_req_t req, size_t size)
{
	static char zeroes[ZERO_PAGE];
	struct iovec iov[MOUNT_MAX_READ / ZERO_PAGE];
	int n = 0;

	for (size_t done = 0; done < size; done += iov[n++].iov_len) {
		iov[n].iov_base = zeroes;
		iov[n].iov_len = (size_t)min_u64(size - done, ZERO_PAGE);
	}
	fuse_reply_iov(req, iov, n);
}

void content_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		  struct fuse_file_info *fi)
{
	struct disk *disk = disk_of(fi);
	char *buf;
	ssize_t n;

	size = (size_t)min_u64(size, MOUNT_MAX_READ);
	if (size >= LARGE_READ && disk_is_zero(disk, size, (uint64_t)offset)) {
		reply_zeroes(req, size);
		return;
	}
	buf = content_buffer();
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	n = disk_read(disk, buf, size, (uint64_t)offset);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

void content_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
		   off_t offset, struct fuse_file_info *fi)
{
	ssize_t n = disk_write(disk_of(fi), buf, size, (uint64_t)offset);

	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

void content_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		   struct fuse_file_info *fi)
{
	fuse_reply_err(req, -disk_flush(disk_of(fi)));
}

void content_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		   struct fuse_file_info *fi)
{
	uint64_t found;
	int r = disk_seek(disk_of(fi), (uint64_t)offset, whence, &found);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_lseek(req, (off_t)found);
}
