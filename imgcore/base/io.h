/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_IO_H
#define BASE_IO_H

/* Whole reads and writes: 0 or negative errno; interrupted calls go on. */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Reads up to len bytes; what the file has. Returns bytes or -errno. */
ssize_t io_pread(int fd, void *buf, size_t len, uint64_t offset);
/* Writes all of buf. */
int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
/*
 * All of a file from its beginning, at most `limit` bytes (-EFBIG beyond), and
 * a NUL after it. The caller frees bytes.
 */
int io_read_file(int fd, size_t limit, uint8_t **ret_bytes, size_t *ret_len);
/*
 * fstatat for what may be missing: 1; 0 where there is nothing of that name; a
 * negative errno where that is not known.
 */
int io_stat_at(int dirfd, const char *name, int flags, struct stat *ret_st);
/*
 * Whether any process can write to an open file at this moment, through a
 * descriptor or a mapping: 1 or 0; a negative errno if the kernel does not
 * tell, such as -EACCES for a file of another owner (without CAP_LEASE).
 */
int io_has_writer(int fd);

#endif
