/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One call of the library fails, once: the scan, the layout, reads, a rescan, a
 * guest's writes, and the end. The linker leads the library's calls here
 * (-Wl,--wrap), so that this works under sanitizers too; calls of libraries
 * below it are those of inject.c.
 *
 * DIRDISK_SOAK=1: each of the calls, otherwise a sample of them.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "../unit/support_live.h"
#include "imgcore/overlay.h"

/* ---- faults ---- */

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
	CALL_WRITE,
	CALL_PWRITE,
	CALL_FSYNC,
	CALLS
};

static const struct {
	const char *name;
	int errors[2];
} calls[CALLS] = {
	[CALL_MALLOC] = { "malloc", { ENOMEM, ENOMEM } },
	[CALL_CALLOC] = { "calloc", { ENOMEM, ENOMEM } },
	[CALL_REALLOC] = { "realloc", { ENOMEM, ENOMEM } },
	[CALL_OPEN] = { "open", { EMFILE, EIO } },
	[CALL_OPENAT] = { "openat", { EMFILE, EIO } },
	[CALL_OPENAT2] = { "openat2", { EMFILE, EAGAIN } },
	[CALL_READ] = { "read", { EIO, ENOMEM } },
	[CALL_PREAD] = { "pread", { EIO, ENOMEM } },
	[CALL_STATX] = { "statx", { EIO, ENOMEM } },
	[CALL_GETDENTS64] = { "getdents64", { EIO, ENOMEM } },
	[CALL_MMAP] = { "mmap", { ENOMEM, ENOMEM } },
	[CALL_INOTIFY_ADD_WATCH] = { "inotify_add_watch", { ENOSPC, ENOMEM } },
	[CALL_FCNTL] = { "fcntl", { EMFILE, EMFILE } },
	[CALL_PTHREAD_CREATE] = { "pthread_create", { EAGAIN, EAGAIN } },
	[CALL_WRITE] = { "write", { EIO, ENOSPC } },
	[CALL_PWRITE] = { "pwrite", { ENOSPC, EIO } },
	[CALL_FSYNC] = { "fsync", { EIO, ENOSPC } },
};

static atomic_uint armed; /* enum call */
static atomic_int fault_error;
static atomic_long countdown; /* 1: the next one fails */
static atomic_uint injected;
static atomic_bool paused; /* while the test itself is at work */
static atomic_ulong counts[CALLS];

static bool fails(enum call call)
{
	if (atomic_load(&paused))
		return false;
	atomic_fetch_add(&counts[call], 1);
	if (atomic_load(&armed) != call || atomic_load(&countdown) <= 0 ||
	    atomic_fetch_sub(&countdown, 1) != 1)
		return false;
	atomic_fetch_add(&injected, 1);
	errno = atomic_load(&fault_error);
	return true;
}

#define WRAP(call, type, failure, name, parameters, arguments)          \
	type __real_##name parameters;                                  \
	type __wrap_##name parameters;                                  \
	type __wrap_##name parameters                                   \
	{                                                               \
		return fails(call) ? failure : __real_##name arguments; \
	}

#define WRAP_OPEN(call, name, parameters, arguments)               \
	int __real_##name parameters;                              \
	int __wrap_##name parameters;                              \
	int __wrap_##name parameters                               \
	{                                                          \
		va_list args;                                      \
		mode_t mode;                                       \
                                                                   \
		va_start(args, flags);                             \
		mode = va_arg(args, mode_t);                       \
		va_end(args);                                      \
		return fails(call) ? -1 : __real_##name arguments; \
	}

WRAP(CALL_MALLOC, void *, NULL, malloc, (size_t size), (size))
WRAP(CALL_CALLOC, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(CALL_REALLOC, void *, NULL, realloc, (void *old, size_t size), (old, size))
WRAP(CALL_REALLOC, void *, NULL, reallocarray,
     (void *old, size_t n, size_t size), (old, n, size))
WRAP(CALL_MALLOC, char *, NULL, strdup, (const char *text), (text))
WRAP(CALL_MALLOC, char *, NULL, strndup, (const char *text, size_t n),
     (text, n))
WRAP_OPEN(CALL_OPEN, open64, (const char *path, int flags, ...),
	  (path, flags, mode))
WRAP_OPEN(CALL_OPENAT, openat64, (int dir, const char *path, int flags, ...),
	  (dir, path, flags, mode))
WRAP(CALL_READ, ssize_t, -1, read, (int fd, void *buf, size_t n), (fd, buf, n))
WRAP(CALL_PREAD, ssize_t, -1, pread64,
     (int fd, void *buf, size_t n, off_t offset), (fd, buf, n, offset))
WRAP(CALL_STATX, int, -1, statx,
     (int dir, const char *path, int flags, unsigned mask, struct statx *st),
     (dir, path, flags, mask, st))
WRAP(CALL_STATX, int, -1, fstat64, (int fd, struct stat *st), (fd, st))
WRAP(CALL_STATX, int, -1, fstatat64,
     (int dir, const char *path, struct stat *st, int flags),
     (dir, path, st, flags))
WRAP(CALL_GETDENTS64, struct dirent *, NULL, readdir64, (DIR * dir), (dir))
WRAP(CALL_MMAP, void *, MAP_FAILED, mmap64,
     (void *at, size_t n, int prot, int flags, int fd, off_t offset),
     (at, n, prot, flags, fd, offset))
WRAP(CALL_INOTIFY_ADD_WATCH, int, -1, inotify_add_watch,
     (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(CALL_PTHREAD_CREATE, int, errno, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *),
      void *context),
     (thread, attr, run, context))
WRAP(CALL_WRITE, ssize_t, -1, write, (int fd, const void *buf, size_t n),
     (fd, buf, n))
WRAP(CALL_PWRITE, ssize_t, -1, pwrite64,
     (int fd, const void *buf, size_t n, off_t offset), (fd, buf, n, offset))
WRAP(CALL_PWRITE, ssize_t, -1, pwritev64,
     (int fd, const struct iovec *iov, int n, off_t offset),
     (fd, iov, n, offset))
WRAP(CALL_FSYNC, int, -1, fdatasync, (int fd), (fd))

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return fails(CALL_FCNTL) ? -1 : __real_fcntl64(fd, command, value);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_openat2 && fails(CALL_OPENAT2))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- what is done ---- */

/* Of each call, without DIRDISK_SOAK. */
#define FEW 12

/* The two states of the file that changes, and the disk in each. */
static const char *const states[] = { "one", "the other one" };
static uint8_t *disks[2];
static size_t disk_size;

static void turn(int fd, unsigned state)
{
	const struct timespec times[] = { { 1000000000, 0 },
					  { 1000000000 + state, 0 } };

	atomic_store(&paused, true);
	unlinkat(fd, "kernels/changes", 0);
	put_text(fd, "kernels/changes", states[state]);
	assert_sys(utimensat(fd, "kernels/changes", times, 0));
	assert_sys(utimensat(fd, "kernels", times, 0));
	atomic_store(&paused, false);
}

static int build(int fd, struct live **ret_live)
{
	const struct live_options options = {
		.image = {
			.src_fd = fd,
			.src_path = "/src",
			.boot.no_grub = true,
			.size = 8 << 20,
			.boot_size = 2 << 20,
			.free = 1 << 20,
		},
	};
	struct diag diag = DIAG_INIT;
	int r = live_new(ret_live, &options, &diag);

	diag_clear(&diag);
	return r;
}

/* All of the newest disk, which is a good one, or an error. */
static int read_disk(struct live *live, uint8_t *bytes)
{
	_cleanup_generation_ struct generation *g = NULL;
	struct diag diag = DIAG_INIT;
	int r = live_newest(live, &g, &diag);

	if (r == 0)
		r = image_pread(generation_image(g), bytes, disk_size, 0,
				&diag);
	diag_clear(&diag);
	return r;
}

static int write_disk(struct live *live, uint8_t *bytes, int tmp)
{
	static const char text[] = "what a guest writes";
	_cleanup_generation_ struct generation *g = NULL;
	struct overlay *overlay = NULL;
	struct diag diag = DIAG_INIT;
	int r = live_newest(live, &g, &diag);

	if (r == 0)
		r = overlay_new(&overlay, generation_image(g), tmp, NULL);
	if (r == 0)
		r = overlay_pwrite(overlay, text, sizeof(text), 5000, &diag);
	if (r == 0)
		r = overlay_flush(overlay, &diag);
	if (r == 0)
		r = overlay_pread(overlay, bytes, 8192, 0, &diag);
	if (r == 0)
		assert_memory_equal(bytes + 5000, text, sizeof(text));
	diag_clear(&diag);
	overlay_free(overlay);
	return r;
}

static void check(int r, const uint8_t *bytes, unsigned state)
{
	if (r == 0 && disks[state])
		assert_memory_equal(bytes, disks[state], disk_size);
}

/* True if nothing of it failed. */
static bool run(int fd, int tmp, uint8_t *bytes)
{
	struct live *live = NULL;
	bool good;
	int r;

	turn(fd, 0);
	r = build(fd, &live);
	if (r < 0)
		return false;
	r = read_disk(live, bytes);
	check(r, bytes, 0);
	good = r == 0;
	turn(fd, 1);
	r = read_disk(live, bytes);
	check(r, bytes, 1);
	good = good && r == 0;
	good = write_disk(live, bytes, tmp) == 0 && good;
	/* What has failed fails once. */
	atomic_store(&countdown, 0);
	assert_ok(read_disk(live, bytes));
	check(0, bytes, 1);
	live_free(live);
	return good;
}

static unsigned descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void make_reference(int fd, int tmp)
{
	uint8_t *bytes;

	disk_size = 8 << 20;
	bytes = test_malloc(disk_size);
	for (unsigned state = 0; state < 2; state++) {
		struct live *live;

		turn(fd, state);
		assert_ok(build(fd, &live));
		assert_ok(read_disk(live, bytes));
		live_free(live);
		disks[state] = test_malloc(disk_size);
		memcpy(disks[state], bytes, disk_size);
	}
	test_free(bytes);
}

static void try_call(enum call call, unsigned long n_calls, int fd, int tmp,
		     uint8_t *bytes)
{
	bool soak = getenv("DIRDISK_SOAK") != NULL;
	unsigned long few = soak || n_calls < FEW ? n_calls : FEW;
	unsigned clean = 0;
	unsigned served = 0;

	for (unsigned long i = 0; i < few; i++) {
		unsigned long n = few == n_calls
					  ? i + 1
					  : 1 + i * (n_calls - 1) / (few - 1);
		unsigned before = descriptors();
		bool good;

		atomic_store(&injected, 0);
		atomic_store(&fault_error, calls[call].errors[n % 2]);
		atomic_store(&armed, call);
		atomic_store(&countdown, (long)n);
		alarm(60);
		good = run(fd, tmp, bytes);
		alarm(0);
		atomic_store(&countdown, 0);
		if (descriptors() != before)
			fail_msg("%s %lu: a descriptor is left open",
				 calls[call].name, n);
		if (!atomic_load(&injected))
			continue;
		clean += !good;
		served += good;
	}
	print_message("# library     %-18s %8u %7u %7u %7u\n", calls[call].name,
		      clean + served, clean, served, 0);
}

static void test_each_call_fails_once(void **state)
{
	const struct temp *temp = *state;
	_cleanup_close_ int fd = -1;
	int tmp = temp->fd;
	unsigned long n_calls[CALLS];
	uint8_t *bytes;

	assert_sys(mkdirat(tmp, "src", 0755));
	fd = openat(tmp, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(fd);
	assert_sys(mkdirat(fd, "boot", 0755));
	put_text(fd, "boot/file", "on the first partition");
	make_reference(fd, tmp);
	bytes = test_malloc(disk_size);
	assert_true(run(fd, tmp, bytes));
	for (unsigned i = 0; i < CALLS; i++)
		atomic_store(&counts[i], 0);
	assert_true(run(fd, tmp, bytes));
	for (unsigned i = 0; i < CALLS; i++)
		n_calls[i] = atomic_load(&counts[i]);
	assert_int_not_equal(n_calls[CALL_MALLOC], 0);
	assert_int_not_equal(n_calls[CALL_REALLOC], 0);
	assert_int_not_equal(n_calls[CALL_OPENAT2], 0);
	assert_int_not_equal(n_calls[CALL_PWRITE], 0);
	for (unsigned i = 0; i < CALLS; i++)
		try_call(i, n_calls[i], fd, tmp, bytes);
	test_free(bytes);
	test_free(disks[0]);
	test_free(disks[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(test_each_call_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
