/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_READAHEAD_H
#define FS_READAHEAD_H

/*
 * Has the kernel read the files of a mount a few requests ahead, where that is
 * less now and this user may change it; nothing otherwise. disk: an open file
 * there.
 */
void readahead_raise(int disk);

#endif
