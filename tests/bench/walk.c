/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * walk THREADS DIR: statx of everything below DIR and nothing done with it,
 * the floor that the scan is measured against. With `xattrs` behind it, the
 * names of extended attributes are listed too, since nothing else tells whether
 * a file has any. Prints the number of entries.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_THREADS 64
#ifndef SYS_listxattrat
#define SYS_listxattrat 465 /* but for alpha */
#endif

/* Directories still to be read, the last found first. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	char **paths;
	size_t count, size;
	unsigned busy; /* threads that may still find some */
	uint64_t entries;
} queue = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER };

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void put(char *path)
{
	pthread_mutex_lock(&queue.mutex);
	if (queue.count == queue.size) {
		queue.size = queue.size * 2 + 64;
		queue.paths = realloc(queue.paths,
				      queue.size * sizeof(*queue.paths));
		if (!queue.paths)
			give_up("realloc");
	}
	queue.paths[queue.count++] = path;
	pthread_cond_signal(&queue.changed);
	pthread_mutex_unlock(&queue.mutex);
}

/* NULL: there will be none any more. */
static char *take(uint64_t entries)
{
	char *path = NULL;

	pthread_mutex_lock(&queue.mutex);
	queue.entries += entries;
	queue.busy--;
	while (queue.count == 0 && queue.busy > 0)
		pthread_cond_wait(&queue.changed, &queue.mutex);
	if (queue.count > 0) {
		path = queue.paths[--queue.count];
		queue.busy++;
	} else {
		pthread_cond_broadcast(&queue.changed);
	}
	pthread_mutex_unlock(&queue.mutex);
	return path;
}

static bool with_xattrs;

static void list_xattrs(int fd, const char *name)
{
	char path[NAME_MAX + 64];
	char names[256];

	if (syscall(SYS_listxattrat, fd, name, AT_SYMLINK_NOFOLLOW, names,
		    sizeof(names)) >= 0 ||
	    errno != ENOSYS)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name);
	(void)!llistxattr(path, names, sizeof(names));
}

static void visit(int fd, const char *path, const struct dirent *d)
{
	struct statx stx;
	char *below;

	if (statx(fd, d->d_name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS, &stx) < 0)
		give_up(d->d_name);
	if (with_xattrs)
		list_xattrs(fd, d->d_name);
	if (!S_ISDIR(stx.stx_mode))
		return;
	if (asprintf(&below, "%s/%s", path, d->d_name) < 0)
		give_up("asprintf");
	put(below);
}

static uint64_t walk(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	uint64_t entries = 0;

	if (!dir)
		give_up(path);
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		entries++;
		visit(dirfd(dir), path, d);
	}
	closedir(dir);
	return entries;
}

static void *work(void *unused)
{
	uint64_t entries = 0;
	char *path;

	while ((path = take(entries))) {
		entries = walk(path);
		free(path);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int n = argc >= 3 ? atoi(argv[1]) : 0;

	with_xattrs = argc == 4 && strcmp(argv[3], "xattrs") == 0;
	if (n < 1 || n > MAX_THREADS || argc > 3 + with_xattrs) {
		fprintf(stderr, "usage: walk THREADS DIR [xattrs]\n");
		return 2;
	}
	put(strdup(argv[2]));
	queue.busy = (unsigned)n;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			give_up("pthread_create");
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%llu\n", (unsigned long long)queue.entries);
	return 0;
}
