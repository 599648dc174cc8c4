/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * open_often IMAGE COUNT THREADS: opens IMAGE so many times as cp does, which
 * compares what it has opened with what it saw under the name before. Prints
 * how many failed and why, and how long they took; status 1 if any failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64

static const char *image;
static atomic_long left;
static atomic_ulong failures, longest_us;

static void fail(const char *what, int error)
{
	/* The first ones will do. */
	if (atomic_fetch_add(&failures, 1) < 20)
		fprintf(stderr, "%s: %s\n", what,
			error ? strerror(error) : "not what it was");
}

/* After the open, so that the handle is closed in one place. */
static void look(int fd, const struct stat *seen)
{
	unsigned char sector[512];
	struct stat st;
	off_t size;

	if (fstat(fd, &st) < 0) {
		fail("fstat", errno);
		return;
	}
	if (st.st_dev != seen->st_dev || st.st_ino != seen->st_ino)
		fail("replaced while being copied", 0);
	if (pread(fd, sector, sizeof(sector), 0) != sizeof(sector))
		fail("pread", errno);
	else if (sector[510] != 0x55 || sector[511] != 0xaa)
		fail("the first sector", 0);
	/* As tar does behind its last byte. */
	size = st.st_size;
	if (fstat(fd, &st) < 0)
		fail("fstat", errno);
	else if (st.st_ino != seen->st_ino || st.st_size != size)
		fail("changed as we read it", 0);
}

static void open_once(void)
{
	struct stat seen;
	int fd;

	if (stat(image, &seen) < 0) {
		fail("stat", errno);
		return;
	}
	fd = open(image, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		fail("open", errno);
		return;
	}
	look(fd, &seen);
	close(fd);
}

static unsigned long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000000 +
	       (unsigned long)t.tv_nsec / 1000;
}

static void *opener(void *context)
{
	while (atomic_fetch_sub(&left, 1) > 0) {
		unsigned long begin = now_us(), took, most;

		open_once();
		took = now_us() - begin;
		most = longest_us;
		while (took > most &&
		       !atomic_compare_exchange_weak(&longest_us, &most, took))
			;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	unsigned long begin = now_us();
	int n;

	if (argc != 4) {
		fprintf(stderr, "usage: open_often IMAGE COUNT THREADS\n");
		return 2;
	}
	image = argv[1];
	left = atol(argv[2]);
	n = atoi(argv[3]);
	for (int i = 0; i < n && n <= MAX_THREADS; i++)
		if (pthread_create(&threads[i], NULL, opener, NULL) != 0)
			return 2;
	for (int i = 0; i < n && n <= MAX_THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("opens %s failures %lu ms %lu longest-us %lu\n", argv[2],
	       failures, (now_us() - begin) / 1000, longest_us);
	return failures ? 1 : 0;
}
