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
#include "mount.h"

/*
 * Left out on purpose: flush and opendir (the kernel takes ENOSYS for "always
 * succeeds" and asks no more), locks (the kernel's own suffice on one host),
 * splice (it cannot verify what it sent, and is no faster).
 */

#define DISK_NAME "disk.img"
#define ROOT_INO  FUSE_ROOT_ID
#define DISK_INO  2

/*
 * Attributes change through this mount only, so the kernel may keep them; names
 * it shall ask for every time.
 */
#define ATTR_TIMEOUT  (365 * 86400.0)
#define ENTRY_TIMEOUT 0.0

#define MAX_WRITE  (1u << 20)
#define READ_AHEAD (1u << 20)

static struct disk *disk_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- attributes ---- */

static void stat_inode(struct disk *disk, fuse_ino_t ino, struct stat *ret_st)
{
	disk_stat(disk, ret_st);
	ret_st->st_ino = ino;
	if (ino == DISK_INO)
		return;
	ret_st->st_mode = S_IFDIR | 0555;
	ret_st->st_uid = getuid();
	ret_st->st_gid = getgid();
	ret_st->st_nlink = 2;
	ret_st->st_size = 0;
	ret_st->st_blocks = 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.ino = DISK_INO,
		.attr_timeout = ATTR_TIMEOUT,
		.entry_timeout = ENTRY_TIMEOUT,
	};

	if (parent != ROOT_INO || strcmp(name, DISK_NAME) != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	stat_inode(disk_of(req), DISK_INO, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	stat_inode(disk_of(req), ino, &st);
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

/* The kernel has checked who may do this. A disk's size is what it is. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct disk *disk = disk_of(req);
	struct stat st = *attr;

	if (ino != DISK_INO || ((to_set & FUSE_SET_ATTR_SIZE) &&
				(uint64_t)st.st_size != disk_size(disk))) {
		fuse_reply_err(req, EPERM);
		return;
	}
	disk_change(disk, &st, changes_of(to_set, &st));
	stat_inode(disk, ino, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi)
{
	static const struct {
		const char *name;
		fuse_ino_t ino;
		mode_t type;
	} entries[] = {
		{ ".", ROOT_INO, S_IFDIR },
		{ "..", ROOT_INO, S_IFDIR },
		{ DISK_NAME, DISK_INO, S_IFREG },
	};
	char buf[256];
	size_t used = 0;

	size = (size_t)min_u64(size, sizeof(buf));
	for (size_t i = (size_t)offset; i < ARRAY_SIZE(entries); i++) {
		struct stat st = {
			.st_ino = entries[i].ino,
			.st_mode = entries[i].type,
		};
		size_t n = fuse_add_direntry(req, buf + used, size - used,
					     entries[i].name, &st,
					     (off_t)i + 1);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = div_up(disk_size(disk_of(req)), 4096),
		.f_files = 2,
		.f_namemax = 255,
	};

	fuse_reply_statfs(req, &st);
}

/* ---- content ---- */

/* A cut to nothing is a change of size: `cp x disk.img` must not half work. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (ino != DISK_INO) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	if (fi->flags & O_TRUNC) {
		fuse_reply_err(req, EPERM);
		return;
	}
	/* Content changes by writes to this very inode only. */
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* ---- what a directory with one file does not do ---- */

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

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readdir = op_readdir,
	.statfs = op_statfs,
	.open = op_open,
	.read = content_read,
	.write = content_write,
	.fsync = content_fsync,
	.lseek = content_lseek,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.create = op_create,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_remove,
	.rmdir = op_remove,
	.rename = op_rename,
};

struct fuse_session *operations_session(struct disk *disk, const char *list,
					bool debug, int fd)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	if (fuse_opt_add_arg(&args, "dirdisk") == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, list) == 0 &&
	    (!debug || fuse_opt_add_arg(&args, "-d") == 0))
		session = fuse_session_new(&args, &operations,
					   sizeof(operations), disk);
	fuse_opt_free_args(&args);
	if (session && fuse_session_mount(session, path) < 0) {
		fuse_session_destroy(session);
		return NULL;
	}
	return session;
}

/* Enough to keep a queue of small requests moving on a small machine. */
static unsigned thread_count(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 2 ? 4 : (unsigned)min_u64((uint64_t)cpus * 2, 16);
}

/* A channel of its own for each thread, where this user may open one. */
static bool may_clone(void)
{
	return access("/dev/fuse", R_OK | W_OK) == 0;
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 12)
static int serve(struct fuse_session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, may_clone());
	fuse_loop_cfg_set_max_threads(config, thread_count());
	fuse_loop_cfg_set_idle_threads(config, thread_count());
	r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}
#else
static int serve(struct fuse_session *session)
{
	struct fuse_loop_config config = {
		.clone_fd = may_clone(),
		.max_idle_threads = thread_count(),
	};

	return fuse_session_loop_mt(session, &config);
}
#endif

int operations_serve(struct fuse_session *session)
{
	int r = serve(session);

	return r > 0 ? -EINTR : r;
}
