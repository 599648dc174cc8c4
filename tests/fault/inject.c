/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LD_PRELOAD: makes the n-th call of one function fail, once.
 *
 * What is to fail stands in a file that DIRDISK_FAULT names and that all
 * processes map, so that a test can ask for a fault in a program that runs. The
 * calls of every process are counted there. Only the program that
 * DIRDISK_FAULT_IN names (the last component of its path) is looked at, not
 * what it executes.
 *
 * Calls within the C library itself go past this, but for those of malloc.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The next function of that name does it. */
#define NEXT(type, name, parameters)                                    \
	static type(*next_##name(void)) parameters                      \
	{                                                               \
		static type(*_Atomic next) parameters;                  \
                                                                        \
		if (!atomic_load(&next))                                \
			atomic_store(&next, (type(*) parameters)dlsym(  \
						    RTLD_NEXT, #name)); \
		return atomic_load(&next);                              \
	}
#define REAL(name)    next_##name()
#define WRAPPED(name) name

#include "calls.h"

struct control {
	struct fault fault;
	_Atomic uint64_t pid; /* that the fault was put into */
	_Atomic uint64_t crashes;
	char place[4096]; /* of the fault */
	char crash[4096];
};

static struct control *control;

/* Where we are, for addr2line. */
static void write_trace(char *text, size_t size)
{
	void *frames[32];
	int n = backtrace(frames, 32);
	size_t len = 0;
	Dl_info info;

	for (int i = 0; i < n && len < size; i++) {
		if (!dladdr(frames[i], &info))
			continue;
		len += (size_t)snprintf(
			text + len, size - len, "%s +%#lx %s\n", info.dli_fname,
			(char *)frames[i] - (char *)info.dli_fbase,
			info.dli_sname ? info.dli_sname : "");
	}
}

/* Leaves a backtrace, and ends as it would have. */
static void on_crash(int number)
{
	if (atomic_fetch_add(&control->crashes, 1) == 0)
		write_trace(control->crash, sizeof(control->crash));
	raise(number);
}

static bool is_ours(void)
{
	const char *program = getenv("DIRDISK_FAULT_IN");
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *name;

	if (n < 0 || !program)
		return false;
	path[n] = '\0';
	name = strrchr(path, '/');
	return name && strcmp(name + 1, program) == 0;
}

static void catch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
				       SIGILL };
	const struct sigaction action = {
		.sa_handler = on_crash,
		.sa_flags = (int)(SA_RESETHAND | SA_NODEFER),
	};
	void *frames[1];

	/* Its first call loads a library. */
	backtrace(frames, 1);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("DIRDISK_FAULT");
	void *map;
	long fd;

	if (!path || !is_ours())
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED,
		   (int)fd, 0);
	close((int)fd);
	if (map == MAP_FAILED)
		return;
	catch_crashes();
	control = map;
}

static bool fails(enum call call)
{
	if (!control || !fault_fails(&control->fault, call))
		return false;
	atomic_store(&control->pid, (uint64_t)getpid());
	write_trace(control->place, sizeof(control->place));
	errno = (int)atomic_load(&control->fault.error);
	return true;
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
	return fails(CALL_MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(CALL_CALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(CALL_REALLOC) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails(CALL_MALLOC) ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = fails(CALL_MALLOC) ? NULL : __libc_memalign(align, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

/* ---- other names of the same calls, and what the library does not use ---- */

WRAP_OPEN(CALL_OPEN, open, (const char *path, int flags, ...),
	  (path, flags, mode))
WRAP_OPEN(CALL_OPENAT, openat, (int dir, const char *path, int flags, ...),
	  (dir, path, flags, mode))
WRAP(CALL_OPEN, FILE *, NULL, fopen, (const char *path, const char *mode),
     (path, mode))
WRAP(CALL_OPEN, FILE *, NULL, fopen64, (const char *path, const char *mode),
     (path, mode))
WRAP(CALL_OPEN, DIR *, NULL, opendir, (const char *path), (path))
WRAP_FCNTL(fcntl)
WRAP(CALL_PREAD, ssize_t, -1, pread,
     (int fd, void *buf, size_t size, off_t offset), (fd, buf, size, offset))
/* The replies to FUSE's requests. */
WRAP(CALL_WRITE, ssize_t, -1, writev,
     (int fd, const struct iovec *iov, int count), (fd, iov, count))
WRAP(CALL_PWRITE, ssize_t, -1, pwrite,
     (int fd, const void *buf, size_t size, off_t offset),
     (fd, buf, size, offset))
WRAP(CALL_PWRITE, ssize_t, -1, pwritev,
     (int fd, const struct iovec *iov, int n, off_t offset),
     (fd, iov, n, offset))
WRAP(CALL_FSYNC, int, -1, fsync, (int fd), (fd))
WRAP(CALL_STATX, int, -1, fstat, (int fd, struct stat *st), (fd, st))
WRAP(CALL_GETDENTS64, struct dirent *, NULL, readdir, (DIR * dir), (dir))
WRAP(CALL_MMAP, void *, MAP_FAILED, mmap,
     (void *at, size_t size, int prot, int flags, int fd, off_t offset),
     (at, size, prot, flags, fd, offset))
WRAP(CALL_SENDMSG, ssize_t, -1, sendmsg,
     (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(CALL_RECVMSG, ssize_t, -1, recvmsg,
     (int fd, struct msghdr *message, int flags), (fd, message, flags))
