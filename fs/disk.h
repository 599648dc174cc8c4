/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_DISK_H
#define FS_DISK_H

/*
 * The disk of one generation, as a file: its image with what was written over
 * it, and attributes.
 *
 * Errors: a negative errno that the reader or writer shall see; the reason is
 * logged, one line for each path.
 * Threading: any number of threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct disk;
struct generation;
struct info_set;
struct overlay_budget;

/*
 * Holds the generation. tmp_fd: the directory of the overlay's file. budget:
 * the limit that all overlays share; it must outlive the disk.
 */
int disk_new(struct disk **ret_disk, struct generation *generation, int tmp_fd,
	     struct overlay_budget *budget);
void disk_free(struct disk *disk);

struct generation *disk_generation(const struct disk *disk);
/* The files of info/ about it. */
struct info_set *disk_info(const struct disk *disk);

uint64_t disk_size(const struct disk *disk);
/* All but st_ino and st_dev. */
void disk_stat(struct disk *disk, struct stat *ret_st);

/* What of an attribute is changed, and to what; the size cannot be. */
enum {
	DISK_MODE = 1, /* permissions, no set-id bits */
	DISK_UID = 2,
	DISK_GID = 4,
	DISK_ATIME = 8,
	DISK_MTIME = 16,
	DISK_CTIME = 32,
};
void disk_change(struct disk *disk, const struct stat *st, unsigned what);

/* Gives it the other one's owner and permissions. */
void disk_inherit(struct disk *disk, struct disk *older);

/* Bytes, fewer at the end of the disk; 0 behind it. */
ssize_t disk_read(struct disk *disk, void *buf, size_t len, uint64_t offset);
/* Whether the range lies on the disk, and reads as zeroes for sure. */
bool disk_is_zero(struct disk *disk, size_t len, uint64_t offset);
/* Bytes, fewer at the end of the disk; -ENOSPC behind it. */
ssize_t disk_write(struct disk *disk, const void *buf, size_t len,
		   uint64_t offset);
int disk_flush(struct disk *disk);
/* As lseek with SEEK_DATA or SEEK_HOLE. */
int disk_seek(struct disk *disk, uint64_t offset, int whence,
	      uint64_t *ret_offset);

#endif
