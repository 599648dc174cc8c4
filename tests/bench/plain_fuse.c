/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plain_fuse FILE MNT: MNT/disk.img is FILE, one pread for each request and
 * nothing else. What FUSE itself costs on this machine, to measure against.
 * In the foreground; ends with the mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#define FILE_INO 2
#define MAX_IO	 (1u << 20)
#define TIMEOUT	 86400.0

static int file_fd;
static pthread_key_t buffer_key;

static void stat_inode(fuse_ino_t ino, struct stat *ret_st)
{
	fstat(file_fd, ret_st);
	ret_st->st_ino = ino;
	if (ino == FILE_INO)
		return;
	ret_st->st_mode = S_IFDIR | 0555;
	ret_st->st_nlink = 2;
	ret_st->st_size = 0;
}

static void plain_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
			FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->want |= conn->capable &
		      (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO);
	conn->max_write = MAX_IO;
	conn->max_readahead = MAX_IO;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

static void plain_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.ino = FILE_INO,
		.attr_timeout = TIMEOUT,
	};

	if (strcmp(name, "disk.img") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	stat_inode(FILE_INO, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void plain_getattr(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	struct stat st;

	stat_inode(ino, &st);
	fuse_reply_attr(req, &st, TIMEOUT);
}

static void plain_open(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void plain_read(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi)
{
	char *buf = pthread_getspecific(buffer_key);
	ssize_t n;

	if (!buf) {
		buf = aligned_alloc(4096, MAX_IO);
		pthread_setspecific(buffer_key, buf);
	}
	n = buf && size <= MAX_IO ? pread(file_fd, buf, size, offset) : -1;
	if (n < 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static const struct fuse_lowlevel_ops operations = {
	.init = plain_init,
	.lookup = plain_lookup,
	.getattr = plain_getattr,
	.open = plain_open,
	.read = plain_read,
};

static int serve(struct fuse_session *session)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = cpus < 2 ? 4 : cpus > 8 ? 16 : (unsigned)cpus * 2;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 12)
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, threads);
	fuse_loop_cfg_set_idle_threads(config, threads);
	r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return r;
#else
	struct fuse_loop_config config = {
		.clone_fd = 1,
		.max_idle_threads = threads,
	};

	return fuse_session_loop_mt(session, &config);
#endif
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: plain_fuse FILE MNT\n");
		return 1;
	}
	file_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file_fd < 0 || pthread_key_create(&buffer_key, free) != 0) {
		perror(argv[1]);
		return 1;
	}
	session = fuse_session_new(&args, &operations, sizeof(operations),
				   NULL);
	if (!session || fuse_session_mount(session, argv[2]) < 0)
		return 1;
	r = serve(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return r == 0 ? 0 : 1;
}
