/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_FIRST_SECTOR_H
#define FS_FIRST_SECTOR_H

#include <sys/types.h>

/*
 * The disk is there when somebody else than its server can read it: 0, and the
 * device that it is on, or a negative errno.
 */
int first_sector_read(const char *disk, dev_t *ret_dev);

#endif
