/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

/*
 * The calls that can fail, the counters that say which one does, and the
 * functions that take their place. The program that includes this defines
 * fails() and, before the include:
 *
 *	NEXT(type, name, parameters)	declares the real function
 *	REAL(name)			is the real function
 *	WRAPPED(name)			is the name of the one in its place
 */

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* faults.py has the same order. */
enum call {
	CALL_MALLOC,
	CALL_CALLOC,
	CALL_REALLOC,
	CALL_OPEN,
	CALL_OPENAT,
	CALL_OPENAT2,
	CALL_READ,
	CALL_PREAD,
	CALL_STATX,
	CALL_GETDENTS64,
	CALL_MMAP,
	CALL_INOTIFY_ADD_WATCH,
	CALL_FCNTL,
	CALL_PTHREAD_CREATE,
	CALL_SENDMSG,
	CALL_RECVMSG,
	CALL_WRITE,
	CALL_PWRITE,
	CALL_FSYNC,
	CALLS
};

/* Counts a call. True, and errno is set, if it is to fail. */
static bool fails(enum call call);

/* faults.py has the same layout. */
struct fault {
	_Atomic uint32_t call; /* the one to fail */
	_Atomic uint32_t error;
	_Atomic int64_t countdown; /* 1: the next; 0: none */
	_Atomic uint64_t injected;
	_Atomic uint64_t calls[CALLS];
};

static inline bool fault_fails(struct fault *fault, enum call call)
{
	atomic_fetch_add(&fault->calls[call], 1);
	if (atomic_load(&fault->call) != call ||
	    atomic_load(&fault->countdown) <= 0 ||
	    atomic_fetch_sub(&fault->countdown, 1) != 1)
		return false;
	atomic_fetch_add(&fault->injected, 1);
	errno = (int)atomic_load(&fault->error);
	return true;
}

/*
 * A function NAME of so many parameters that counts as CALL; on a fault it
 * gives FAILURE, which may use errno.
 */
#define WRAP(call, type, failure, name, parameters, arguments)       \
	NEXT(type, name, parameters)                                 \
	type WRAPPED(name) parameters                                \
	{                                                            \
		return fails(call) ? failure : REAL(name) arguments; \
	}

/* The mode is passed on although there may be none: nobody looks at it then. */
#define WRAP_OPEN(call, name, parameters, arguments)            \
	NEXT(int, name, parameters)                             \
	int WRAPPED(name) parameters                            \
	{                                                       \
		va_list args;                                   \
		mode_t mode;                                    \
                                                                \
		va_start(args, flags);                          \
		mode = va_arg(args, mode_t);                    \
		va_end(args);                                   \
		return fails(call) ? -1 : REAL(name) arguments; \
	}

#define WRAP_FCNTL(name)                                                   \
	NEXT(int, name, (int fd, int command, ...))                        \
	int WRAPPED(name)(int fd, int command, ...)                        \
	{                                                                  \
		va_list args;                                              \
		void *value;                                               \
                                                                           \
		va_start(args, command);                                   \
		value = va_arg(args, void *);                              \
		va_end(args);                                              \
		return fails(CALL_FCNTL) ? -1                              \
					 : REAL(name)(fd, command, value); \
	}

WRAP_OPEN(CALL_OPEN, open64, (const char *path, int flags, ...),
	  (path, flags, mode))
WRAP_OPEN(CALL_OPENAT, openat64, (int dir, const char *path, int flags, ...),
	  (dir, path, flags, mode))
WRAP_FCNTL(fcntl64)
WRAP(CALL_READ, ssize_t, -1, read, (int fd, void *buf, size_t size),
     (fd, buf, size))
WRAP(CALL_PREAD, ssize_t, -1, pread64,
     (int fd, void *buf, size_t size, off64_t offset), (fd, buf, size, offset))
WRAP(CALL_WRITE, ssize_t, -1, write, (int fd, const void *buf, size_t size),
     (fd, buf, size))
WRAP(CALL_PWRITE, ssize_t, -1, pwrite64,
     (int fd, const void *buf, size_t size, off64_t offset),
     (fd, buf, size, offset))
WRAP(CALL_PWRITE, ssize_t, -1, pwritev64,
     (int fd, const struct iovec *iov, int n, off64_t offset),
     (fd, iov, n, offset))
WRAP(CALL_FSYNC, int, -1, fdatasync, (int fd), (fd))
WRAP(CALL_STATX, int, -1, statx,
     (int dir, const char *path, int flags, unsigned mask, struct statx *st),
     (dir, path, flags, mask, st))
WRAP(CALL_STATX, int, -1, fstat64, (int fd, struct stat64 *st), (fd, st))
WRAP(CALL_STATX, int, -1, fstatat64,
     (int dir, const char *path, struct stat64 *st, int flags),
     (dir, path, st, flags))
WRAP(CALL_GETDENTS64, struct dirent64 *, NULL, readdir64, (DIR * dir), (dir))
WRAP(CALL_MMAP, void *, MAP_FAILED, mmap64,
     (void *at, size_t size, int prot, int flags, int fd, off64_t offset),
     (at, size, prot, flags, fd, offset))
WRAP(CALL_INOTIFY_ADD_WATCH, int, -1, inotify_add_watch,
     (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(CALL_PTHREAD_CREATE, int, errno, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*function)(void *),
      void *context),
     (thread, attr, function, context))

/* What newer kernels have and the C library has no name for. */
NEXT(long, syscall, (long number, ...))
/* With fewer arguments it passes on what nobody looks at. */
__attribute__((no_sanitize("address"))) long WRAPPED(syscall)(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if ((number == SYS_openat2 && fails(CALL_OPENAT2)) ||
	    (number == SYS_statx && fails(CALL_STATX)) ||
	    (number == SYS_getdents64 && fails(CALL_GETDENTS64)))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
