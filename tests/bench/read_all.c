/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * read_all -: reads every file that a line of standard input names, one by one.
 * read_all FILE: reads all data of FILE, its holes left out.
 * Prints how many bytes there were. With nothing else to do, the least that
 * reading takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20)

static char buf[CHUNK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t total = 0;
	ssize_t n;

	if (fd < 0)
		die(path);
	do {
		n = read(fd, buf, CHUNK);
		if (n < 0)
			die(path);
		total += (uint64_t)n;
	} while (n == (ssize_t)CHUNK);
	close(fd);
	return total;
}

static uint64_t read_files(void)
{
	char *line = NULL;
	size_t size = 0;
	uint64_t total = 0;

	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		total += read_file(line);
	}
	free(line);
	return total;
}

static uint64_t read_data(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t total = 0;
	off_t at = 0;

	if (fd < 0)
		die(path);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		while (at < end) {
			size_t len = end - at < CHUNK ? (size_t)(end - at)
						      : CHUNK;
			ssize_t n = pread(fd, buf, len, at);

			if (n <= 0)
				die(path);
			at += n;
			total += (uint64_t)n;
		}
	}
	if (errno != ENXIO)
		die(path);
	close(fd);
	return total;
}

int main(int argc, char **argv)
{
	uint64_t total;

	if (argc != 2) {
		fprintf(stderr, "usage: read_all -|FILE\n");
		return 1;
	}
	total = strcmp(argv[1], "-") == 0 ? read_files() : read_data(argv[1]);
	printf("%llu\n", (unsigned long long)total);
	return 0;
}
