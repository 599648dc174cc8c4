/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_READAHEAD_H
#define FS_READAHEAD_H

#include <sys/types.h>

/*
 * Has the kernel read a mount's files a few requests ahead, where that is less
 * now and this user may change it; nothing otherwise.
 */
void readahead_raise(dev_t dev);

#endif
