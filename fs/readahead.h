/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_READAHEAD_H
#define FS_READAHEAD_H

/*
 * Raises the kernel's read-ahead for a mount to a few requests, if it is less
 * and this user may change it. disk: an open file on the mount.
 */
void readahead_raise(int disk);

#endif
