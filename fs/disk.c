/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "imgcore/live.h"
#include "imgcore/overlay.h"
#include "imgcore/overlay_budget.h"
#include "info.h"
#include "log.h"

/* Paths (or messages without one) remembered so that none is logged twice. */
#define MAX_TOLD 256

struct disk {
	struct generation *generation;
	const struct image *image; /* the generation's */
	struct overlay *overlay;
	struct overlay_budget *budget; /* all disks' */
	struct info_set *info;
	uint64_t size;

	pthread_mutex_t lock; /* of what follows */
	struct stat st; /* mode, owner, times */
	struct {
		char **items;
		size_t count, size;
	} told;
};

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000),
	};
}

int disk_new(struct disk **ret_disk, struct generation *generation, int tmp_fd,
	     struct overlay_budget *budget)
{
	const struct image *image = generation_image(generation);
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return -ENOMEM;
	r = overlay_new(&disk->overlay, image, tmp_fd, budget);
	if (r == 0)
		r = info_set_new(&disk->info, generation);
	if (r < 0) {
		overlay_free(disk->overlay);
		free(disk);
		return r;
	}
	pthread_mutex_init(&disk->lock, NULL);
	disk->generation = generation_ref(generation);
	disk->image = image;
	disk->budget = budget;
	disk->size = image_size(image);
	disk->st.st_mode = S_IFREG | 0644;
	disk->st.st_uid = getuid();
	disk->st.st_gid = getgid();
	disk->st.st_mtim = timespec_of(generation_time(generation));
	disk->st.st_atim = disk->st.st_mtim;
	disk->st.st_ctim = disk->st.st_mtim;
	*ret_disk = disk;
	return 0;
}

void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	overlay_free(disk->overlay);
	info_set_unref(disk->info);
	generation_unref(disk->generation);
	for (size_t i = 0; i < disk->told.count; i++)
		free(disk->told.items[i]);
	vec_free(&disk->told);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

struct generation *disk_generation(const struct disk *disk)
{
	return disk->generation;
}

struct info_set *disk_info(const struct disk *disk)
{
	return disk->info;
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
	ret_st->st_blksize = 4096;
	ret_st->st_blocks = (blkcnt_t)div_up(min_u64(used, disk->size), 512);
}

void disk_change(struct disk *disk, const struct stat *st, unsigned what)
{
	pthread_mutex_lock(&disk->lock);
	if (what & DISK_MODE)
		disk->st.st_mode = S_IFREG | (st->st_mode & 0777);
	if (what & DISK_UID)
		disk->st.st_uid = st->st_uid;
	if (what & DISK_GID)
		disk->st.st_gid = st->st_gid;
	if (what & DISK_ATIME)
		disk->st.st_atim = st->st_atim;
	if (what & DISK_MTIME)
		disk->st.st_mtim = st->st_mtim;
	if (what & DISK_CTIME)
		disk->st.st_ctim = st->st_ctim;
	else
		clock_gettime(CLOCK_REALTIME, &disk->st.st_ctim);
	pthread_mutex_unlock(&disk->lock);
}

void disk_inherit(struct disk *disk, struct disk *older)
{
	struct stat st;

	pthread_mutex_lock(&older->lock);
	st = older->st;
	pthread_mutex_unlock(&older->lock);
	pthread_mutex_lock(&disk->lock);
	disk->st.st_mode = st.st_mode;
	disk->st.st_uid = st.st_uid;
	disk->st.st_gid = st.st_gid;
	pthread_mutex_unlock(&disk->lock);
}

static void touch(struct disk *disk)
{
	struct stat now;

	clock_gettime(CLOCK_REALTIME, &now.st_mtim);
	now.st_ctim = now.st_mtim;
	disk_change(disk, &now, DISK_MTIME | DISK_CTIME);
}

/* ---- errors ---- */

/* True for the first time that something is said of this. */
static bool is_news(struct disk *disk, const char *what)
{
	char **slot;

	for (size_t i = 0; i < disk->told.count; i++) {
		if (strcmp(disk->told.items[i], what) == 0)
			return false;
	}
	if (disk->told.count == MAX_TOLD)
		return false;
	slot = vec_push(&disk->told);
	if (slot && !(*slot = strdup(what)))
		disk->told.count--;
	return true;
}

/* Logs what went wrong; returns err as the user of the disk shall see it. */
static int tell(struct disk *disk, struct diag *diag, int err)
{
	_cleanup_free_ char *text = diag_format(diag, err);
	const char *what = diag->path ? diag->path : text;
	bool news = true;

	if (diag->path && strcmp(diag->path, OVERLAY_LIMIT_OPTION) == 0) {
		news = overlay_budget_report(disk->budget);
	} else if (what) {
		pthread_mutex_lock(&disk->lock);
		news = is_news(disk, what);
		pthread_mutex_unlock(&disk->lock);
	}
	diag_clear(diag);
	if (news)
		log_line("%s", text ? text : "out of memory");
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG: /* the file system of the overlay takes no larger file */
		return -ENOSPC;
	default:
		return -EIO;
	}
}

/* The same for bytes that are served although their file has changed. */
static void tell_served(struct disk *disk, struct diag *diag)
{
	if (diag->path)
		(void)tell(disk, diag, -ESTALE);
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
		return tell(disk, &diag, r);
	tell_served(disk, &diag);
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
		return tell(disk, &diag, r);
	tell_served(disk, &diag);
	touch(disk);
	return (ssize_t)len;
}

int disk_flush(struct disk *disk)
{
	struct diag diag = DIAG_INIT;
	int r = overlay_flush(disk->overlay, &diag);

	return r < 0 ? tell(disk, &diag, r) : 0;
}

int disk_seek(struct disk *disk, uint64_t offset, int whence,
	      uint64_t *ret_offset)
{
	uint64_t found;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset >= disk->size)
		return -ENXIO;
	if (whence == SEEK_DATA)
		found = overlay_next_data(disk->overlay, offset);
	else
		found = overlay_next_hole(disk->overlay, offset);
	/* There is a hole behind the end, but no data. */
	if (whence == SEEK_DATA && found >= disk->size)
		return -ENXIO;
	*ret_offset = min_u64(found, disk->size);
	return 0;
}
