/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "operations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "base/math.h"
#include "base/units.h"
#include "buffer.h"
#include "disks.h"
#include "info.h"
#include "mount.h"
#include "updates.h"
#include "vmdk.h"

/*
 * Left out on purpose: flush and opendir (the kernel takes ENOSYS for "always
 * succeeds" and asks no more), locks (the kernel's own are enough on one host),
 * splice (it cannot verify what it sent, and is not faster).
 */

#define ROOT_INO FUSE_ROOT_ID
#define DISK_INO 2u /* that stat(2) shows, of all generations */
#define VMDK_INO 3u
#define INFO_INO 4u

/*
 * Attributes change through this mount only, so the kernel may cache them. It
 * looks names up each time, except names that always lead to the same inode.
 */
#define FOREVER	      (365 * 86400.0)
#define ATTR_TIMEOUT  FOREVER
#define ENTRY_TIMEOUT 0.0

#define MAX_WRITE  (1u << 20)
#define READ_AHEAD (1u << 20)

/* Below this size, the check for zeroes costs more than it saves. */
#define LARGE_READ (1u << 16)

static struct fs_context *context_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- nodes ---- */

static bool is_disk(fuse_ino_t ino)
{
	return ino > DISKS_NODE;
}

/* The inode of a file of info/; info_of is its inverse. */
static fuse_ino_t info_ino(size_t file)
{
	return INFO_INO + 1 + file;
}

static bool info_of(fuse_ino_t ino, size_t *ret_file)
{
	if (ino <= INFO_INO || !info_name(ino - INFO_INO - 1))
		return false;
	*ret_file = ino - INFO_INO - 1;
	return true;
}

/* ---- attributes ---- */

static void stat_disk(struct disk *disk, struct stat *ret_st)
{
	disk_stat(disk, ret_st);
	ret_st->st_ino = DISK_INO;
}

/* Directories and info/ stay the same for as long as the disk is mounted. */
static void stat_fixed(const struct fs_context *context, fuse_ino_t ino,
		       struct stat *ret_st)
{
	size_t file;
	bool dir = !info_of(ino, &file);

	*ret_st = (struct stat){
		.st_ino = ino,
		.st_mode = dir ? S_IFDIR | 0555 : S_IFREG | 0444,
		.st_nlink = dir ? ino == ROOT_INO ? 3 : 2 : 1,
		.st_uid = getuid(),
		.st_gid = getgid(),
		.st_blksize = BLOCK,
		.st_atim = context->start,
		.st_mtim = context->start,
		.st_ctim = context->start,
	};
}

/* The descriptor is as old as the disk that it describes. */
static void stat_vmdk(const struct fs_context *context, struct disk *disk,
		      struct stat *ret_st)
{
	struct stat st;

	stat_disk(disk, &st);
	stat_fixed(context, VMDK_INO, ret_st);
	ret_st->st_mode = S_IFREG | 0444;
	ret_st->st_nlink = 1;
	ret_st->st_size = (off_t)vmdk_size(context->name);
	ret_st->st_blocks = ret_st->st_size / SECTOR;
	ret_st->st_atim = st.st_atim;
	ret_st->st_mtim = st.st_mtim;
	ret_st->st_ctim = st.st_ctim;
}

/* ---- lookup ---- */

static void reply_disk(const struct update *update, struct disk *newest)
{
	struct fuse_entry_param entry = {
		.ino = disk_node(newest),
		.attr_timeout = ATTR_TIMEOUT,
		.entry_timeout = ENTRY_TIMEOUT,
	};

	stat_disk(newest, &entry.attr);
	disk_looked_up(newest);
	/* The kernel does not count an answer that it no longer waits for. */
	if (fuse_reply_entry(update->req, &entry) < 0)
		disks_forget(context_of(update->req)->disks, entry.ino, 1);
	disk_put(newest);
}

static void reply_vmdk(const struct update *update, struct disk *newest)
{
	struct fuse_entry_param entry = { .ino = VMDK_INO };

	stat_vmdk(context_of(update->req), newest, &entry.attr);
	fuse_reply_entry(update->req, &entry);
	disk_put(newest);
}

static void reply_fixed(fuse_req_t req, fuse_ino_t ino)
{
	struct fuse_entry_param entry = {
		.ino = ino,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};

	stat_fixed(context_of(req), ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct update disk = { .req = req, .answer = reply_disk };
	struct update vmdk = { .req = req, .answer = reply_vmdk };
	struct fs_context *context = context_of(req);
	size_t file;

	if (parent == ROOT_INO && strcmp(name, context->name) == 0)
		updates_request(context->updates, &disk);
	else if (parent == ROOT_INO && context->vmdk &&
		 strcmp(name, context->vmdk) == 0)
		updates_request(context->updates, &vmdk);
	else if (parent == ROOT_INO && strcmp(name, INFO_DIR) == 0)
		reply_fixed(req, INFO_INO);
	else if (parent == INFO_INO && info_find(name, &file))
		reply_fixed(req, info_ino(file));
	else
		fuse_reply_err(req, ENOENT);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	disks_forget(context_of(req)->disks, ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	struct disks *disks = context_of(req)->disks;

	for (size_t i = 0; i < count; i++)
		disks_forget(disks, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- getattr, setattr ---- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct fs_context *context = context_of(req);
	struct disk *disk = NULL;
	double timeout = FOREVER;
	struct stat st;

	if (is_disk(ino)) {
		disk = disks_find(context->disks, ino);
		if (!disk) {
			fuse_reply_err(req, ESTALE);
			return;
		}
		stat_disk(disk, &st);
		timeout = ATTR_TIMEOUT;
	} else if (ino == VMDK_INO) {
		disk = disks_newest(context->disks);
		stat_vmdk(context, disk, &st);
		timeout = 0.0;
	} else {
		stat_fixed(context, ino, &st);
	}
	if (disk)
		disk_put(disk);
	fuse_reply_attr(req, &st, timeout);
}

/* The kernel has checked who may do this. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct disk *disk;
	struct stat st;
	int r;

	if (!is_disk(ino)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	disk = disks_find(context_of(req)->disks, ino);
	if (!disk) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	r = disk_set_attr(disk, attr, to_set);
	stat_disk(disk, &st);
	disk_put(disk);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

/* ---- directories ---- */

struct dir_entry {
	const char *name;
	fuse_ino_t ino;
	mode_t type;
};

/* Returns the entry number i of a directory; false after the last. */
static bool entry_at(const struct fs_context *context, fuse_ino_t dir, size_t i,
		     struct dir_entry *ret_entry)
{
	const struct dir_entry root[] = {
		{ ".", ROOT_INO, S_IFDIR },
		{ "..", ROOT_INO, S_IFDIR },
		{ context->name, DISK_INO, S_IFREG },
		{ INFO_DIR, INFO_INO, S_IFDIR },
		{ context->vmdk, VMDK_INO, S_IFREG }, /* perhaps NULL */
	};

	if (dir == ROOT_INO) {
		if (i >= ARRAY_SIZE(root))
			return false;
		*ret_entry = root[i];
	} else if (i < 2) {
		*ret_entry = root[i];
		if (i == 0)
			ret_entry->ino = INFO_INO;
	} else {
		*ret_entry = (struct dir_entry){ info_name(i - 2),
						 info_ino(i - 2), S_IFREG };
	}
	return ret_entry->name;
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi)
{
	struct dir_entry entry;
	char buf[1024];
	size_t used = 0;

	size = (size_t)min_u64(size, sizeof(buf));
	for (size_t i = (size_t)offset;
	     entry_at(context_of(req), ino, i, &entry); i++) {
		struct stat st = {
			.st_ino = entry.ino,
			.st_mode = entry.type,
		};
		size_t n = fuse_add_direntry(req, buf + used, size - used,
					     entry.name, &st, (off_t)i + 1);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs_context *context = context_of(req);
	struct disk *newest = disks_newest(context->disks);
	struct statvfs st = {
		.f_bsize = BLOCK,
		.f_frsize = BLOCK,
		.f_blocks = div_up(disk_size(newest), BLOCK),
		.f_files = 3, /* /, the disk, info/ ... */
		.f_namemax = 255,
	};

	disk_put(newest);
	while (info_name(st.f_files - 3))
		st.f_files++;
	if (context->vmdk)
		st.f_files++;
	fuse_reply_statfs(req, &st);
}

/* ---- open files: fi->fh is a struct disk, or a struct info ---- */

static struct disk *disk_of(const struct fuse_file_info *fi)
{
	return (struct disk *)(uintptr_t)fi->fh;
}

static bool is_writing(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

/*
 * O_TRUNC is a change of the size: `cp x disk.img` must not work by half. A
 * disk that was replaced is not opened for writing: the kernel then looks the
 * name up again by itself.
 */
static void open_disk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct disk *disk;

	if (fi->flags & O_TRUNC) {
		fuse_reply_err(req, EPERM);
		return;
	}
	disk = disks_find(context_of(req)->disks, ino);
	if (disk && is_writing(fi) && !disk_is_newest(disk)) {
		disk_put(disk);
		disk = NULL;
	}
	if (!disk) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fi->fh = (uintptr_t)disk;
	/* Only writes to this inode change its content. */
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) < 0)
		disk_put(disk);
}

static void reply_info(fuse_req_t req, struct fuse_file_info *fi,
		       struct info *info)
{
	fi->fh = (uintptr_t)info;
	/* The kernel asks until there is no more, whatever the size says. */
	fi->direct_io = 1;
	if (fuse_reply_open(req, fi) < 0)
		info_unref(info);
}

static void open_info(fuse_req_t req, struct fuse_file_info fi, size_t file,
		      struct info_set *set)
{
	struct info *info;
	int r = info_open(&info, file, set);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_info(req, &fi, info);
}

static void open_vmdk(const struct update *update, struct disk *newest)
{
	struct fuse_file_info fi = update->fi;
	struct info *info;
	char *text;
	int r = vmdk_text(context_of(update->req)->name,
			  disk_generation(newest), &text);

	disk_put(newest);
	if (r == 0)
		r = info_open_text(&info, text);
	if (r < 0)
		fuse_reply_err(update->req, -r);
	else
		reply_info(update->req, &fi, info);
}

static void open_info_of(const struct update *update, struct disk *newest)
{
	size_t file;

	if (info_of(update->ino, &file))
		open_info(update->req, update->fi, file, disk_info(newest));
	disk_put(newest);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool vmdk = ino == VMDK_INO;
	struct update update = {
		.req = req,
		.ino = ino,
		.fi = *fi,
		.answer = vmdk ? open_vmdk : open_info_of,
	};
	size_t file;

	if (is_disk(ino))
		open_disk(req, ino, fi);
	else if (!vmdk && !info_of(ino, &file))
		fuse_reply_err(req, EISDIR);
	else if (is_writing(fi) || (fi->flags & O_TRUNC))
		fuse_reply_err(req, EACCES);
	else if (vmdk || info_of_generation(file))
		updates_request(context_of(req)->updates, &update);
	else
		open_info(req, *fi, file, NULL);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	if (is_disk(ino))
		disk_put(disk_of(fi));
	else
		info_unref((struct info *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* ---- content ---- */

static void read_disk(fuse_req_t req, struct disk *disk, size_t size,
		      uint64_t offset)
{
	char *buf;
	ssize_t n;

	size = (size_t)min_u64(size, MOUNT_MAX_READ);
	if (size >= LARGE_READ && disk_is_zero(disk, size, offset)) {
		/* One page, repeated: it stays in the processor's cache. */
		static char zeroes[BLOCK];
		struct iovec iov[MOUNT_MAX_READ / BLOCK];
		int count = 0;

		for (size_t done = 0; done < size; done += BLOCK) {
			iov[count].iov_base = zeroes;
			iov[count++].iov_len = (size_t)min_u64(size - done,
							       BLOCK);
		}
		fuse_reply_iov(req, iov, count);
		return;
	}
	buf = buffer_get();
	n = buf ? disk_read(disk, buf, size, offset) : -ENOMEM;
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	if (is_disk(ino))
		read_disk(req, disk_of(fi), size, (uint64_t)offset);
	else
		info_read((struct info *)(uintptr_t)fi->fh, req, size,
			  (uint64_t)offset);
}

/* Only disks are opened for writing. */
static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf,
		     size_t size, off_t offset, struct fuse_file_info *fi)
{
	ssize_t n = disk_write(disk_of(fi), buf, size, (uint64_t)offset);

	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

/* ENOSYS would be the answer for all files, for ever. */
static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	uint64_t found;
	int r = is_disk(ino) ? disk_seek(disk_of(fi), (uint64_t)offset, whence,
					 &found)
			     : -EINVAL;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_lseek(req, (off_t)found);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	fuse_reply_err(req, is_disk(ino) ? -disk_flush(disk_of(fi)) : 0);
}

/* ---- operations that these directories refuse ---- */

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	fuse_reply_err(req, EPERM);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	fuse_reply_err(req, EPERM);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	fuse_reply_err(req, EPERM);
}

/* ---- the session ---- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned off = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
			     FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE |
			     FUSE_CAP_AUTO_INVAL_DATA;
	const unsigned on = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
			    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ATOMIC_O_TRUNC;

	conn->want = (conn->want & ~off) | (conn->capable & on);
	conn->max_read = MOUNT_MAX_READ; /* libfuse wants it in both places */
	conn->max_write = MAX_WRITE;
	conn->max_readahead = READ_AHEAD;
	/* Requests in flight on behalf of the page cache and of O_DIRECT. */
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readdir = op_readdir,
	.statfs = op_statfs,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.lseek = op_lseek,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.create = op_create,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_remove,
	.rmdir = op_remove,
	.rename = op_rename,
};
