/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

/* FUSE's operations on the bytes of an open disk: fi->fh is a struct served. */

#include <fuse_lowlevel.h>

void content_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		  struct fuse_file_info *fi);
void content_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
		   off_t offset, struct fuse_file_info *fi);
void content_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		   struct fuse_file_info *fi);
void content_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		   struct fuse_file_info *fi);

#endif
