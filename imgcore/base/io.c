/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

ssize_t io_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done,
				   (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

int io_read_file(int fd, size_t limit, uint8_t **ret_bytes, size_t *ret_len)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t size = 65536;
	size_t len = 0;

	for (;;) {
		uint8_t *p = realloc(bytes, size);
		ssize_t n;

		if (!p)
			return -ENOMEM;
		bytes = p;
		n = io_pread(fd, bytes + len, size - len, len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len > limit)
			return -EFBIG;
		if (len < size)
			break;
		size *= 2;
	}
	bytes[len] = '\0';
	*ret_bytes = take_ptr(bytes);
	*ret_len = len;
	return 0;
}

int io_stat_at(int dirfd, const char *name, int flags, struct stat *ret_st)
{
	if (fstatat(dirfd, name, ret_st, flags) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

/*
 * The kernel grants a read lease only if no process has the file open for
 * writing, as a shared writable mapping does until it ends. The lease is given
 * back at once: a program that opens the file for writing meanwhile waits that
 * long. The signal that reports such a program is one that is ignored by
 * default.
 */
int io_has_writer(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) < 0)
		return -errno;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN ? 1 : -errno;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}
