/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One call of the library fails, once: the scan, the layout, reads, a rescan, a
 * guest's writes, and the end. The linker leads the library's calls here
 * (-Wl,--wrap), so that this works under sanitizers too; calls of libraries
 * below it are those of inject.c.
 *
 * DIRDISK_SOAK=1: each of the calls, otherwise a sample of them.
 */
#include "../unit/support_live.h"
#include "imgcore/overlay.h"

/* ---- faults ---- */

#define NEXT(type, name, parameters)   \
	type __real_##name parameters; \
	type __wrap_##name parameters;
#define REAL(name)    __real_##name
#define WRAPPED(name) __wrap_##name

#include "calls.h"

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

static struct fault fault;
static atomic_bool paused; /* while the test itself is at work */

static bool fails(enum call call)
{
	return !atomic_load(&paused) && fault_fails(&fault, call);
}

WRAP(CALL_MALLOC, void *, NULL, malloc, (size_t size), (size))
WRAP(CALL_MALLOC, void *, NULL, aligned_alloc, (size_t align, size_t size),
     (align, size))
WRAP(CALL_CALLOC, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(CALL_REALLOC, void *, NULL, realloc, (void *old, size_t size), (old, size))
WRAP(CALL_REALLOC, void *, NULL, reallocarray,
     (void *old, size_t n, size_t size), (old, n, size))
WRAP(CALL_MALLOC, char *, NULL, strdup, (const char *text), (text))
WRAP(CALL_MALLOC, char *, NULL, strndup, (const char *text, size_t n),
     (text, n))

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

	/* What the last read left there may be what this one forgets. */
	memset(bytes, 0xa5, disk_size);
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
	long left;
	bool good;
	int r;

	turn(fd, 0);
	r = build(fd, &live);
	if (r < 0)
		return false;
	live_start_thread(live);
	r = read_disk(live, bytes);
	check(r, bytes, 0);
	good = r == 0;
	turn(fd, 1);
	r = read_disk(live, bytes);
	check(r, bytes, 1);
	good = good && r == 0;
	good = write_disk(live, bytes, tmp) == 0 && good;
	/* What has failed fails once; the end may be what fails. */
	left = atomic_exchange(&fault.countdown, 0);
	assert_ok(read_disk(live, bytes));
	check(0, bytes, 1);
	atomic_store(&fault.countdown, left);
	live_free(live);
	return good;
}

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A thread that was joined is gone a moment later. */
static bool threads_are(unsigned n)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (entries("/proc/self/task") == n)
			return true;
		usleep(1000);
	}
	return false;
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
		unsigned before = entries("/proc/self/fd");
		unsigned threads = entries("/proc/self/task");
		bool good;

		atomic_store(&fault.injected, 0);
		atomic_store(&fault.error, (uint32_t)calls[call].errors[n % 2]);
		atomic_store(&fault.call, call);
		atomic_store(&fault.countdown, (long)n);
		alarm(60);
		good = run(fd, tmp, bytes);
		alarm(0);
		atomic_store(&fault.countdown, 0);
		if (entries("/proc/self/fd") != before)
			fail_msg("%s %lu: a descriptor is left open",
				 calls[call].name, n);
		if (!threads_are(threads))
			fail_msg("%s %lu: a thread is left", calls[call].name,
				 n);
		if (!atomic_load(&fault.injected))
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
		atomic_store(&fault.calls[i], 0);
	assert_true(run(fd, tmp, bytes));
	for (unsigned i = 0; i < CALLS; i++)
		n_calls[i] = atomic_load(&fault.calls[i]);
	assert_int_not_equal(n_calls[CALL_MALLOC], 0);
	assert_int_not_equal(n_calls[CALL_REALLOC], 0);
	assert_int_not_equal(n_calls[CALL_OPENAT2], 0);
	assert_int_not_equal(n_calls[CALL_PWRITE], 0);
	for (unsigned i = 0; i < CALLS; i++)
		if (calls[i].name)
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
