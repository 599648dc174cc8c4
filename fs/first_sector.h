/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_FIRST_SECTOR_H
#define FS_FIRST_SECTOR_H

/*
 * Reads the first sector of the disk: 0 or a negative errno. *ret_fd is the
 * open disk; ret_fd may be NULL. Not for the process that serves the disk: it
 * would wait for itself.
 */
int first_sector_read(const char *disk, int *ret_fd);

#endif
