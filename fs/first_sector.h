/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_FIRST_SECTOR_H
#define FS_FIRST_SECTOR_H

/*
 * Reads the first sector of the disk, as a process that does not serve it: 0 or
 * a negative errno. ret_fd, which may be NULL: the open disk.
 */
int first_sector_read(const char *disk, int *ret_fd);

#endif
