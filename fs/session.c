/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "base/math.h"
#include "log.h"
#include "operations.h"

/* Retries after failures in a row, and the pause between them. */
#define MAX_FAILURES 300
#define PAUSE_NS     10000000

#define MAX_THREADS 16

static void pause_after_failure(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	nanosleep(&pause, NULL);
}

/* ---- the device ---- */

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 13)
static ssize_t device_read(int fd, void *buf, size_t len, void *userdata)
{
	return read(fd, buf, len);
}

/* Not ENOENT and ENODEV: no program waits for the reply any more. */
static bool is_transient(int err)
{
	return err == EINTR || err == EAGAIN || err == EIO || err == ENOMEM ||
	       err == ENOBUFS;
}

/*
 * libfuse answers a request for which it has no memory with -ENOMEM, without
 * calling us. The kernel never repeats these, and what they free would be
 * leaked: they are processed again until they succeed.
 */
static bool must_be_processed(const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem;

	switch (in->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return true;
	default:
		return false;
	}
}

/* Of the request that this thread processes. */
static _Thread_local bool retry_without_memory, was_without_memory;

static ssize_t device_writev(int fd, struct iovec *iov, int count,
			     void *userdata)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n;

	if (retry_without_memory && out->error == -ENOMEM) {
		was_without_memory = true;
		return out->len;
	}
	for (unsigned i = 0; i < MAX_FAILURES; i++) {
		n = writev(fd, iov, count);
		if (n >= 0 || !is_transient(errno))
			return n;
		pause_after_failure();
	}
	return n;
}

static int attach(struct fuse_session *session, int fd)
{
	static const struct fuse_custom_io device = {
		.read = device_read,
		.writev = device_writev,
	};

	return fuse_session_custom_io(session, &device, fd);
}
#else
static int attach(struct fuse_session *session, int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return fuse_session_mount(session, path);
}
#endif

int session_new(struct fuse_session **ret_session, struct fs_context *context,
		const char *list, bool debug, int fd)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	if (fuse_opt_add_arg(&args, "dirdisk") == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, list) == 0 &&
	    (!debug || fuse_opt_add_arg(&args, "-d") == 0))
		session = fuse_session_new(&args, &operations,
					   sizeof(operations), context);
	fuse_opt_free_args(&args);
	if (!session || attach(session, fd) < 0) {
		if (session)
			fuse_session_destroy(session);
		close(fd);
		return -ENOMEM;
	}
	*ret_session = session;
	return 0;
}

/* ---- the threads ---- */

/* Enough to keep a queue of small requests moving on a small machine. */
static unsigned thread_count(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 2 ? 4 : (unsigned)min_u64((uint64_t)cpus * 2, 16);
}

static void process(struct fuse_session *session, struct fuse_buf *buf)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 13)
	retry_without_memory = must_be_processed(buf);
	for (unsigned i = 0; retry_without_memory && i < MAX_FAILURES; i++) {
		was_without_memory = false;
		fuse_session_process_buf(session, buf);
		if (!was_without_memory)
			return;
		pause_after_failure();
	}
	retry_without_memory = false;
#endif
	fuse_session_process_buf(session, buf);
}

struct loop {
	struct fuse_session *session;
	atomic_int error; /* of the device */
	atomic_uint idle; /* threads that wait for a request, or will at once */
	pthread_mutex_t lock; /* of what follows */
	unsigned max, n;
	pthread_t threads[MAX_THREADS];
};

static void *loop_run(void *context);

/*
 * The last thread that waited has a request: another one waits from now on.
 * Threads that nobody needs would take turns, and a lone reader would wake a
 * cold one each time.
 */
static void start_another(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	if (loop->n + 1 < loop->max &&
	    pthread_create(&loop->threads[loop->n], NULL, loop_run, loop) ==
		    0) {
		loop->n++;
		atomic_fetch_add(&loop->idle, 1);
	}
	pthread_mutex_unlock(&loop->lock);
}

/*
 * Serves one request. 1: there may be more; 0: the mount is gone; or why the
 * device fails.
 */
static int serve_one(struct loop *loop, struct fuse_buf *buf)
{
	int r = 0;

	for (unsigned i = 0; i < MAX_FAILURES; i++) {
		r = fuse_session_receive_buf(loop->session, buf);
		if (r > 0) {
			if (atomic_fetch_sub(&loop->idle, 1) == 1)
				start_another(loop);
			process(loop->session, buf);
			atomic_fetch_add(&loop->idle, 1);
			return 1;
		}
		if (r == 0 || fuse_session_exited(loop->session))
			return 0;
		if (r != -EINTR && r != -EAGAIN)
			pause_after_failure();
	}
	return r == -EINTR || r == -EAGAIN ? 1 : r;
}

static void *loop_run(void *context)
{
	struct loop *loop = context;
	struct fuse_buf buf = { 0 };
	int r;

	while ((r = serve_one(loop, &buf)) > 0)
		;
	free(buf.mem);
	if (r < 0)
		atomic_store(&loop->error, r);
	return NULL;
}

/* A thread that ends may have started one more before. */
static bool next_thread(struct loop *loop, unsigned i, pthread_t *ret_thread)
{
	bool is_there;

	pthread_mutex_lock(&loop->lock);
	is_there = i < loop->n;
	if (is_there)
		*ret_thread = loop->threads[i];
	pthread_mutex_unlock(&loop->lock);
	return is_there;
}

int session_serve(struct fuse_session *session)
{
	static struct loop loop = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct fuse_buf first = { 0 };
	pthread_t thread;
	int r;

	loop.session = session;
	/* The first request sets the sizes that the buffers of all others have.
	 */
	loop.max = 0;
	atomic_store(&loop.idle, 1);
	r = serve_one(&loop, &first);
	free(first.mem);
	if (r <= 0)
		return r;
	/* This thread serves too, and suffices if no other can be started. */
	loop.max = thread_count();
	loop_run(&loop);
	r = atomic_load(&loop.error);
	if (r < 0)
		return r;
	for (unsigned i = 0; next_thread(&loop, i, &thread); i++)
		pthread_join(thread, NULL);
	return atomic_load(&loop.error);
}
