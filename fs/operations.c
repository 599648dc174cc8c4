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
#include "content.h"
#include "disk.h"
#include "front.h"
#include "generations.h"
#include "info.h"
#include "mount.h"
#include "updates.h"
#include "vmdk.h"

/*
 * Left out on purpose: flush and opendir (the kernel takes ENOSYS for "always
 * succeeds" and asks no more), locks (the kernel's own suffice on one host),
 * splice (it cannot verify what it sent, and is no faster).
 */

#define ROOT_INO FUSE_ROOT_ID

/*
 * Attributes change through this mount only, so the kernel may keep them; names
 * it shall ask for every time, but for those that always lead to the same.
 */
#define FOREVER	      (365 * 86400.0)
#define ATTR_TIMEOUT  FOREVER
#define ENTRY_TIMEOUT 0.0

#define MAX_WRITE  (1u << 20)
#define READ_AHEAD (1u << 20)

static struct front *front_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- nodes ---- */

static bool is_disk(fuse_ino_t ino)
{
	return ino > GENERATIONS_NODE;
}

/* The node of a file of info/; info_of is the other way round. */
static fuse_ino_t info_ino(size_t file)
{
	return FRONT_INFO_INO + 1 + file;
}

static bool info_of(fuse_ino_t ino, size_t *ret_file)
{
	if (ino <= FRONT_INFO_INO || !info_name(ino - FRONT_INFO_INO - 1))
		return false;
	*ret_file = ino - FRONT_INFO_INO - 1;
	return true;
}

/* ---- attributes ---- */

static void stat_disk(struct served *served, struct stat *ret_st)
{
	disk_stat(served_disk(served), ret_st);
	ret_st->st_ino = FRONT_DISK_INO;
}

/* The directories and info/ stay as they are for as long as it is mounted. */
static void stat_fixed(const struct front *front, fuse_ino_t ino,
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
		.st_blksize = 4096,
		.st_atim = front->start,
		.st_mtim = front->start,
		.st_ctim = front->start,
	};
}

/* The descriptor is as old as the disk that it describes. */
static void stat_vmdk(const struct front *front, struct served *served,
		      struct stat *ret_st)
{
	struct stat disk;

	stat_disk(served, &disk);
	stat_fixed(front, FRONT_VMDK_INO, ret_st);
	ret_st->st_mode = S_IFREG | 0444;
	ret_st->st_nlink = 1;
	ret_st->st_size = (off_t)vmdk_size(front->name);
	ret_st->st_blocks = ret_st->st_size / 512;
	ret_st->st_atim = disk.st_atim;
	ret_st->st_mtim = disk.st_mtim;
	ret_st->st_ctim = disk.st_ctim;
}

/* ---- lookup ---- */

static void reply_disk(const struct update *update, struct served *newest)
{
	struct generations *generations = front_of(update->req)->generations;
	struct fuse_entry_param entry = {
		.ino = served_node(newest),
		.attr_timeout = ATTR_TIMEOUT,
		.entry_timeout = ENTRY_TIMEOUT,
	};

	stat_disk(newest, &entry.attr);
	generations_looked_up(generations, newest);
	/* The kernel does not count what it no longer waited for. */
	if (fuse_reply_entry(update->req, &entry) < 0)
		generations_forget(generations, served_node(newest), 1);
	generations_done(generations, newest);
}

static void reply_vmdk(const struct update *update, struct served *newest)
{
	const struct front *front = front_of(update->req);
	struct fuse_entry_param entry = { .ino = FRONT_VMDK_INO };

	stat_vmdk(front, newest, &entry.attr);
	fuse_reply_entry(update->req, &entry);
	generations_done(front->generations, newest);
}

static void reply_fixed(fuse_req_t req, fuse_ino_t ino)
{
	struct fuse_entry_param entry = {
		.ino = ino,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};

	stat_fixed(front_of(req), ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct update disk = { .req = req, .answer = reply_disk };
	struct update vmdk = { .req = req, .answer = reply_vmdk };
	struct front *front = front_of(req);
	size_t file;

	if (parent == ROOT_INO && strcmp(name, front->name) == 0)
		updates_request(front->updates, &disk);
	else if (parent == ROOT_INO && front->vmdk &&
		 strcmp(name, front->vmdk) == 0)
		updates_request(front->updates, &vmdk);
	else if (parent == ROOT_INO && strcmp(name, INFO_DIR) == 0)
		reply_fixed(req, FRONT_INFO_INO);
	else if (parent == FRONT_INFO_INO && info_find(name, &file))
		reply_fixed(req, info_ino(file));
	else
		fuse_reply_err(req, ENOENT);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	generations_forget(front_of(req)->generations, ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	struct generations *generations = front_of(req)->generations;

	for (size_t i = 0; i < count; i++)
		generations_forget(generations, forgets[i].ino,
				   forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- getattr, setattr ---- */

static void getattr_vmdk(fuse_req_t req)
{
	const struct front *front = front_of(req);
	struct served *newest = generations_newest(front->generations);
	struct stat st;

	stat_vmdk(front, newest, &st);
	generations_done(front->generations, newest);
	fuse_reply_attr(req, &st, 0.0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct front *front = front_of(req);
	struct served *served;
	struct stat st;

	if (ino == FRONT_VMDK_INO) {
		getattr_vmdk(req);
		return;
	}
	if (!is_disk(ino)) {
		stat_fixed(front, ino, &st);
		fuse_reply_attr(req, &st, FOREVER);
		return;
	}
	served = generations_of_node(front->generations, ino);
	if (!served) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	stat_disk(served, &st);
	generations_done(front->generations, served);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

static unsigned changes_of(int to_set, struct stat *st)
{
	static const struct {
		int fuse;
		unsigned disk;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, DISK_MODE },
		{ FUSE_SET_ATTR_UID, DISK_UID },
		{ FUSE_SET_ATTR_GID, DISK_GID },
		{ FUSE_SET_ATTR_ATIME, DISK_ATIME },
		{ FUSE_SET_ATTR_ATIME_NOW, DISK_ATIME },
		{ FUSE_SET_ATTR_MTIME, DISK_MTIME },
		{ FUSE_SET_ATTR_MTIME_NOW, DISK_MTIME },
		{ FUSE_SET_ATTR_CTIME, DISK_CTIME },
	};
	unsigned what = 0;

	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		clock_gettime(CLOCK_REALTIME, &st->st_atim);
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		clock_gettime(CLOCK_REALTIME, &st->st_mtim);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (to_set & map[i].fuse)
			what |= map[i].disk;
	}
	return what;
}

/* A disk's size is what it is. */
static int change(struct disk *disk, const struct stat *attr, int to_set)
{
	struct stat st = *attr;

	if ((to_set & FUSE_SET_ATTR_SIZE) &&
	    (uint64_t)st.st_size != disk_size(disk))
		return EPERM;
	disk_change(disk, &st, changes_of(to_set, &st));
	return 0;
}

/* The kernel has checked who may do this. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct front *front = front_of(req);
	struct served *served;
	struct stat st;
	int err;

	if (!is_disk(ino)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	served = generations_of_node(front->generations, ino);
	if (!served) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	err = change(served_disk(served), attr, to_set);
	stat_disk(served, &st);
	generations_done(front->generations, served);
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

/* ---- directories ---- */

struct dir_entry {
	const char *name;
	fuse_ino_t ino;
	mode_t type;
};

/* The entry number i of a directory; false behind the last. */
static bool entry_at(const struct front *front, fuse_ino_t dir, size_t i,
		     struct dir_entry *ret_entry)
{
	const struct dir_entry root[] = {
		{ ".", ROOT_INO, S_IFDIR },
		{ "..", ROOT_INO, S_IFDIR },
		{ front->name, FRONT_DISK_INO, S_IFREG },
		{ INFO_DIR, FRONT_INFO_INO, S_IFDIR },
		{ front->vmdk, FRONT_VMDK_INO, S_IFREG }, /* perhaps NULL */
	};

	if (dir == ROOT_INO) {
		if (i >= ARRAY_SIZE(root))
			return false;
		*ret_entry = root[i];
	} else if (i < 2) {
		*ret_entry = root[i];
		if (i == 0)
			ret_entry->ino = FRONT_INFO_INO;
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
	for (size_t i = (size_t)offset; entry_at(front_of(req), ino, i, &entry);
	     i++) {
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
	struct generations *generations = front_of(req)->generations;
	struct served *newest = generations_newest(generations);
	struct statvfs st = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = div_up(disk_size(served_disk(newest)), 4096),
		.f_files = 3, /* /, the disk, info/ ... */
		.f_namemax = 255,
	};

	generations_done(generations, newest);
	while (info_name(st.f_files - 3))
		st.f_files++;
	if (front_of(req)->vmdk)
		st.f_files++;
	fuse_reply_statfs(req, &st);
}

/* ---- open files: fi->fh is a struct served, or (others) info ---- */

static bool is_writing(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

/*
 * A cut to nothing is a change of size: `cp x disk.img` must not half work.
 * Who would write to what has been replaced is to look it up again, which the
 * kernel does by itself.
 */
static void open_disk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct generations *generations = front_of(req)->generations;
	struct served *served;

	if (fi->flags & O_TRUNC) {
		fuse_reply_err(req, EPERM);
		return;
	}
	served = generations_of_node(generations, ino);
	if (served && is_writing(fi) &&
	    !generations_is_newest(generations, served)) {
		generations_done(generations, served);
		served = NULL;
	}
	if (!served) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fi->fh = (uintptr_t)served;
	/* Content changes by writes to this very node only. */
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) < 0)
		generations_done(generations, served);
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

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	reply_info(req, &fi, info);
}

static void open_vmdk(const struct update *update, struct served *newest)
{
	const struct front *front = front_of(update->req);
	struct generation *generation = disk_generation(served_disk(newest));
	struct fuse_file_info fi = update->fi;
	struct info *info;
	char *text;
	int r;

	r = vmdk_text(front->name, generation, &text);
	generations_done(front->generations, newest);
	if (r == 0)
		r = info_open_text(&info, text);
	if (r < 0)
		fuse_reply_err(update->req, -r);
	else
		reply_info(update->req, &fi, info);
}

static void open_info_of(const struct update *update, struct served *newest)
{
	struct generations *generations = front_of(update->req)->generations;
	size_t file;

	if (info_of(update->ino, &file))
		open_info(update->req, update->fi, file,
			  disk_info(served_disk(newest)));
	generations_done(generations, newest);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool vmdk = ino == FRONT_VMDK_INO;
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
		updates_request(front_of(req)->updates, &update);
	else
		open_info(req, *fi, file, NULL);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	if (is_disk(ino))
		generations_done(front_of(req)->generations,
				 (struct served *)(uintptr_t)fi->fh);
	else
		info_unref((struct info *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	if (is_disk(ino))
		content_read(req, ino, size, offset, fi);
	else
		info_read((struct info *)(uintptr_t)fi->fh, req, size,
			  (uint64_t)offset);
}

/* ENOSYS would be the answer for all files, for ever. */
static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	if (is_disk(ino))
		content_lseek(req, ino, offset, whence, fi);
	else
		fuse_reply_err(req, EINVAL);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	if (is_disk(ino))
		content_fsync(req, ino, datasync, fi);
	else
		fuse_reply_err(req, 0);
}

/* ---- what these directories do not do ---- */

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
	conn->max_read = MOUNT_MAX_READ; /* libfuse wants it said twice */
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
	.write = content_write,
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
