/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "content.h"

#include <errno.h>
#include <stdlib.h>

#include "base/math.h"
#include "buffer.h"
#include "disk.h"
#include "generations.h"
#include "mount.h"

static struct disk *disk_of(const struct fuse_file_info *fi)
{
	return served_disk((const struct served *)(uintptr_t)fi->fh);
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
	buf = buffer_get();
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
