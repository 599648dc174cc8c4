/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_DISKS_H
#define FS_DISKS_H

/*
 * The disks of all generations that are in use. A disk is a file: the image of
 * its generation, with what was written over it, and attributes. Each has an
 * inode of its own, so that the kernel never mixes their pages.
 *
 * A disk is freed when it is not the newest, the kernel has forgotten its
 * inode, and nobody holds it.
 *
 * Errors: 0 or a negative errno; of reads and writes, the one that the user of
 * the disk gets. Their reason is logged, one line for each path.
 * Threading: any number of threads. No lock is held while the tree is scanned
 * or a disk is read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct diag;
struct disk;
struct disks;
struct generation;
struct info_set;
struct live;
struct overlay_budget;

/* Inodes up to this one are not disks. */
#define DISKS_NODE 64u

/*
 * Makes the first disk. tmp_fd: the directory of the overlays' files; budget:
 * their limit. live, budget and tmp_fd must outlive the result.
 */
int disks_new(struct disks **ret_disks, struct live *live, int tmp_fd,
	      struct overlay_budget *budget, struct diag *diag);
void disks_free(struct disks *disks);

/*
 * These return a disk that is the caller's until disk_put. disks_update: the
 * disk of the tree as it is now, which is scanned if it has changed.
 */
int disks_update(struct disks *disks, struct disk **ret_disk,
		 struct diag *diag);
/* The newest disk, without a look at the tree. */
struct disk *disks_newest(struct disks *disks);
/* The disk of an inode, or NULL. */
struct disk *disks_find(struct disks *disks, uint64_t node);
struct disk *disk_get(struct disk *disk);
void disk_put(struct disk *disk);

uint64_t disk_node(const struct disk *disk);
/* Whether it is the newest, which alone may be opened for writing. */
bool disk_is_newest(const struct disk *disk);
struct generation *disk_generation(const struct disk *disk);
/* The files of info/ about it. */
struct info_set *disk_info(const struct disk *disk);

/* Counts a lookup; the kernel forgets an inode as often as it looked it up. */
void disk_looked_up(struct disk *disk);
void disks_forget(struct disks *disks, uint64_t node, uint64_t count);

uint64_t disk_size(const struct disk *disk);
/* All but st_ino and st_dev. */
void disk_stat(struct disk *disk, struct stat *ret_st);
/* Sets the attributes in to_set (FUSE_SET_ATTR_*). -EPERM: another size. */
int disk_set_attr(struct disk *disk, const struct stat *st, int to_set);

/* Returns the number of bytes, fewer at the end of the disk; 0 after it. */
ssize_t disk_read(struct disk *disk, void *buf, size_t len, uint64_t offset);
/* Whether the range is on the disk, and certainly reads as zeroes. */
bool disk_is_zero(struct disk *disk, size_t len, uint64_t offset);
/* Returns the number of bytes, fewer at the end; -ENOSPC after it. */
ssize_t disk_write(struct disk *disk, const void *buf, size_t len,
		   uint64_t offset);
int disk_flush(struct disk *disk);
/* As lseek with SEEK_DATA or SEEK_HOLE. */
int disk_seek(struct disk *disk, uint64_t offset, int whence,
	      uint64_t *ret_offset);

#endif
