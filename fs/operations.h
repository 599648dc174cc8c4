/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPERATIONS_H
#define FS_OPERATIONS_H

/*
 * The file system: a directory with the disk, and info/ beside it. The
 * session's user data is a struct front.
 */

#include <fuse_lowlevel.h>

extern const struct fuse_lowlevel_ops operations;

#endif
