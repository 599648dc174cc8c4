/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disks.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/units.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "imgcore/live.h"
#include "imgcore/overlay.h"
#include "imgcore/overlay_budget.h"
#include "info.h"
#include "log.h"

/* Limit of problems that are remembered, so that none is logged twice. */
#define REPORTED_MAX 256

struct disk {
	struct disks *disks;
	uint64_t number; /* the generation's */
	struct generation *generation;
	const struct image *image; /* the generation's */
	struct overlay *overlay;
	struct info_set *info;
	uint64_t size;

	/* The lock of disks holds for these. */
	uint64_t refs; /* of callers */
	uint64_t lookups; /* that the kernel has not forgotten */

	pthread_mutex_t lock; /* of what follows */
	struct stat st; /* mode, owner, times */
	struct {
		char **items; /* paths, or messages without one */
		size_t count, size;
	} reported;
};

struct disks {
	struct live *live;
	int tmp_fd;
	struct overlay_budget *budget;
	pthread_mutex_t lock; /* of what follows */
	/* In order; the last is the newest, and always there. */
	struct disk **items;
	size_t count, size;
};

DEFINE_CLEANUP(struct generation, generation_unref)

static int disk_new(struct disks *disks, struct generation *generation,
		    struct disk **ret_disk)
{
	const struct image *image = generation_image(generation);
	struct disk *disk = calloc(1, sizeof(*disk));
	int64_t time = generation_time(generation);
	int r;

	if (!disk)
		return -ENOMEM;
	r = overlay_new(&disk->overlay, image, disks->tmp_fd, disks->budget);
	if (r == 0)
		r = info_set_new(&disk->info, generation);
	if (r < 0) {
		overlay_free(disk->overlay);
		free(disk);
		return r;
	}
	pthread_mutex_init(&disk->lock, NULL);
	disk->disks = disks;
	disk->number = generation_number(generation);
	disk->generation = generation_ref(generation);
	disk->image = image;
	disk->size = image_size(image);
	disk->st.st_mode = S_IFREG | 0644;
	disk->st.st_uid = getuid();
	disk->st.st_gid = getgid();
	disk->st.st_mtim.tv_sec = (time_t)(time / NS_PER_SECOND);
	disk->st.st_mtim.tv_nsec = (long)(time % NS_PER_SECOND);
	disk->st.st_atim = disk->st.st_ctim = disk->st.st_mtim;
	*ret_disk = disk;
	return 0;
}

/*
 * Gives the pages back to the system as well: those of a large tree lie between
 * others', and the next generation may be long in coming.
 */
static void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	overlay_free(disk->overlay);
	info_set_unref(disk->info);
	generation_unref(disk->generation);
	for (size_t i = 0; i < disk->reported.count; i++)
		free(disk->reported.items[i]);
	vec_free(&disk->reported);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

uint64_t disk_node(const struct disk *disk)
{
	return DISKS_NODE + disk->number;
}

struct generation *disk_generation(const struct disk *disk)
{
	return disk->generation;
}

struct info_set *disk_info(const struct disk *disk)
{
	return disk->info;
}

/* ---- the table; the caller holds its lock ---- */

static struct disk *newest(const struct disks *disks)
{
	return disks->items[disks->count - 1];
}

static struct disk *find(const struct disks *disks, uint64_t node)
{
	for (size_t i = 0; i < disks->count; i++)
		if (disk_node(disks->items[i]) == node)
			return disks->items[i];
	return NULL;
}

/* Removes a disk that is not in use; the caller frees what it returns. */
static struct disk *remove_unused(struct disk *disk)
{
	struct disks *disks = disk->disks;
	size_t i = 0;

	if (disk->refs || disk->lookups || disk == newest(disks))
		return NULL;
	while (disks->items[i] != disk)
		i++;
	memmove(&disks->items[i], &disks->items[i + 1],
		(disks->count - i - 1) * sizeof(*disks->items));
	disks->count--;
	return disk;
}

/* ---- the newest disk ---- */

/*
 * Adds the disk of a generation. *ret_unused: a disk that the caller frees,
 * also on failure.
 */
static int add(struct disks *disks, struct generation *generation,
	       struct disk **ret_unused)
{
	struct disk *old = disks->count ? newest(disks) : NULL;
	struct disk *disk;
	struct disk **slot;
	int r = disk_new(disks, generation, &disk);

	if (r < 0)
		return r;
	slot = vec_push(disks);
	if (!slot) {
		*ret_unused = disk;
		return -ENOMEM;
	}
	*slot = disk;
	if (!old)
		return 0;
	/* A chmod or chown was meant for the file of that name. */
	pthread_mutex_lock(&old->lock);
	disk->st.st_mode = old->st.st_mode;
	disk->st.st_uid = old->st.st_uid;
	disk->st.st_gid = old->st.st_gid;
	pthread_mutex_unlock(&old->lock);
	*ret_unused = remove_unused(old);
	return 0;
}

int disks_update(struct disks *disks, struct disk **ret_disk, struct diag *diag)
{
	_cleanup_(generation_unrefp) struct generation *generation = NULL;
	struct disk *unused = NULL;
	int r = live_newest(disks->live, &generation, diag);

	if (r < 0)
		return r;
	pthread_mutex_lock(&disks->lock);
	/* Another thread may have added a later generation meanwhile. */
	if (!disks->count ||
	    newest(disks)->number < generation_number(generation))
		r = add(disks, generation, &unused);
	if (r == 0) {
		*ret_disk = newest(disks);
		(*ret_disk)->refs++;
	}
	pthread_mutex_unlock(&disks->lock);
	disk_free(unused);
	return r;
}

int disks_new(struct disks **ret_disks, struct live *live, int tmp_fd,
	      struct overlay_budget *budget, struct diag *diag)
{
	struct disks *disks = calloc(1, sizeof(*disks));
	struct disk *first;
	int r;

	if (!disks)
		return -ENOMEM;
	disks->live = live;
	disks->tmp_fd = tmp_fd;
	disks->budget = budget;
	pthread_mutex_init(&disks->lock, NULL);
	r = disks_update(disks, &first, diag);
	if (r < 0) {
		disks_free(disks);
		return r;
	}
	disk_put(first);
	*ret_disks = disks;
	return 0;
}

void disks_free(struct disks *disks)
{
	if (!disks)
		return;
	for (size_t i = 0; i < disks->count; i++)
		disk_free(disks->items[i]);
	vec_free(disks);
	pthread_mutex_destroy(&disks->lock);
	free(disks);
}

/* ---- references ---- */

struct disk *disk_get(struct disk *disk)
{
	pthread_mutex_lock(&disk->disks->lock);
	disk->refs++;
	pthread_mutex_unlock(&disk->disks->lock);
	return disk;
}

void disk_put(struct disk *disk)
{
	struct disks *disks = disk->disks;
	struct disk *unused;

	pthread_mutex_lock(&disks->lock);
	disk->refs--;
	unused = remove_unused(disk);
	pthread_mutex_unlock(&disks->lock);
	disk_free(unused);
}

bool disk_is_newest(const struct disk *disk)
{
	bool is;

	pthread_mutex_lock(&disk->disks->lock);
	is = disk == newest(disk->disks);
	pthread_mutex_unlock(&disk->disks->lock);
	return is;
}

struct disk *disks_newest(struct disks *disks)
{
	struct disk *disk;

	pthread_mutex_lock(&disks->lock);
	disk = newest(disks);
	disk->refs++;
	pthread_mutex_unlock(&disks->lock);
	return disk;
}

struct disk *disks_find(struct disks *disks, uint64_t node)
{
	struct disk *disk;

	pthread_mutex_lock(&disks->lock);
	disk = find(disks, node);
	if (disk)
		disk->refs++;
	pthread_mutex_unlock(&disks->lock);
	return disk;
}

void disk_looked_up(struct disk *disk)
{
	pthread_mutex_lock(&disk->disks->lock);
	disk->lookups++;
	pthread_mutex_unlock(&disk->disks->lock);
}

void disks_forget(struct disks *disks, uint64_t node, uint64_t count)
{
	struct disk *unused = NULL;
	struct disk *disk;

	pthread_mutex_lock(&disks->lock);
	disk = find(disks, node);
	if (disk) {
		disk->lookups -= min_u64(count, disk->lookups);
		unused = remove_unused(disk);
	}
	pthread_mutex_unlock(&disks->lock);
	disk_free(unused);
}

/* ---- attributes ---- */

uint64_t disk_size(const struct disk *disk)
{
	return disk->size;
}

void disk_stat(struct disk *disk, struct stat *ret_st)
{
	uint64_t used = image_data_size(disk->image) +
			overlay_data_size(disk->overlay);

	pthread_mutex_lock(&disk->lock);
	*ret_st = disk->st;
	pthread_mutex_unlock(&disk->lock);
	ret_st->st_nlink = 1;
	ret_st->st_size = (off_t)disk->size;
	ret_st->st_blksize = BLOCK;
	ret_st->st_blocks = (blkcnt_t)div_up(min_u64(used, disk->size), SECTOR);
}

int disk_set_attr(struct disk *disk, const struct stat *st, int to_set)
{
	struct timespec now;

	if ((to_set & FUSE_SET_ATTR_SIZE) &&
	    (uint64_t)st->st_size != disk->size)
		return -EPERM;
	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&disk->lock);
	if (to_set & FUSE_SET_ATTR_MODE) /* without set-id bits */
		disk->st.st_mode = S_IFREG | (st->st_mode & 0777);
	if (to_set & FUSE_SET_ATTR_UID)
		disk->st.st_uid = st->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		disk->st.st_gid = st->st_gid;
	if (to_set & FUSE_SET_ATTR_ATIME)
		disk->st.st_atim = st->st_atim;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		disk->st.st_atim = now;
	if (to_set & FUSE_SET_ATTR_MTIME)
		disk->st.st_mtim = st->st_mtim;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		disk->st.st_mtim = now;
	disk->st.st_ctim = to_set & FUSE_SET_ATTR_CTIME ? st->st_ctim : now;
	pthread_mutex_unlock(&disk->lock);
	return 0;
}

/* ---- errors ---- */

/* Whether a problem was not logged before. */
static bool is_new(struct disk *disk, const char *problem)
{
	char **slot;
	bool is;

	pthread_mutex_lock(&disk->lock);
	is = disk->reported.count < REPORTED_MAX;
	for (size_t i = 0; is && i < disk->reported.count; i++)
		is = strcmp(disk->reported.items[i], problem) != 0;
	slot = is ? vec_push(&disk->reported) : NULL;
	if (slot && !(*slot = strdup(problem)))
		disk->reported.count--;
	pthread_mutex_unlock(&disk->lock);
	return is;
}

/* Logs a problem; returns the error that the user of the disk gets. */
static int report(struct disk *disk, struct diag *diag, int err)
{
	_cleanup_free_ char *text = diag_format(diag, err);
	const char *problem = diag->path ? diag->path : text;
	bool log = true;

	if (diag->path && strcmp(diag->path, OVERLAY_LIMIT_OPTION) == 0)
		log = overlay_budget_report(disk->disks->budget);
	else if (problem)
		log = is_new(disk, problem);
	diag_clear(diag);
	if (log)
		log_line("%s", text ? text : "out of memory");
	/* -EFBIG: the file system of the overlay takes no larger file. */
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? -ENOSPC
								 : -EIO;
}

/* ---- content ---- */

ssize_t disk_read(struct disk *disk, void *buf, size_t len, uint64_t offset)
{
	struct diag diag = DIAG_INIT;
	int r;

	if (offset >= disk->size)
		return 0;
	len = (size_t)min_u64(len, disk->size - offset);
	r = overlay_pread(disk->overlay, buf, len, offset, &diag);
	if (r < 0)
		return report(disk, &diag, r);
	if (diag.path) /* a file has changed, but its bytes are pinned */
		(void)report(disk, &diag, -ESTALE);
	return (ssize_t)len;
}

bool disk_is_zero(struct disk *disk, size_t len, uint64_t offset)
{
	return offset < disk->size && len <= disk->size - offset &&
	       overlay_next_data(disk->overlay, offset) >= offset + len;
}

ssize_t disk_write(struct disk *disk, const void *buf, size_t len,
		   uint64_t offset)
{
	struct diag diag = DIAG_INIT;
	int r;

	if (len == 0)
		return 0;
	if (offset >= disk->size)
		return -ENOSPC;
	len = (size_t)min_u64(len, disk->size - offset);
	r = overlay_pwrite(disk->overlay, buf, len, offset, &diag);
	if (r < 0)
		return report(disk, &diag, r);
	if (diag.path)
		(void)report(disk, &diag, -ESTALE);
	disk_set_attr(disk, NULL, FUSE_SET_ATTR_MTIME_NOW);
	return (ssize_t)len;
}

int disk_flush(struct disk *disk)
{
	struct diag diag = DIAG_INIT;
	int r = overlay_flush(disk->overlay, &diag);

	return r < 0 ? report(disk, &diag, r) : 0;
}

int disk_seek(struct disk *disk, uint64_t offset, int whence,
	      uint64_t *ret_offset)
{
	uint64_t found;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset >= disk->size)
		return -ENXIO;
	found = whence == SEEK_DATA ? overlay_next_data(disk->overlay, offset)
				    : overlay_next_hole(disk->overlay, offset);
	/* After the end of the disk there is a hole, but no data. */
	if (whence == SEEK_DATA && found >= disk->size)
		return -ENXIO;
	*ret_offset = min_u64(found, disk->size);
	return 0;
}
