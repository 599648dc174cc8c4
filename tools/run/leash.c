/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "leash.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "say.h"

#define PATIENCE_MS 5000

static bool has_mark(pid_t pid, const char *mark)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *word = NULL;
	size_t size = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	file = fopen(path, "re");
	while (file && getdelim(&word, &size, '\0', file) > 0) {
		if (strcmp(word, mark) == 0)
			return true;
	}
	return false;
}

/*
 * By a pidfd, opened before the check: the process id may be reused before the
 * signal.
 */
static bool signal_marked(pid_t pid, const char *mark, int number)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (!has_mark(pid, mark))
		return false;
	if (number && fd >= 0)
		syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
	return true;
}

size_t leash_signal(const char *mark, int number)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t found = 0;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atol(entry->d_name);

		if (pid > 0 && pid != getpid())
			found += signal_marked(pid, mark, number);
	}
	if (proc)
		closedir(proc);
	return found;
}

void leash_kill(const char *mark)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	int64_t end = now_ms() + PATIENCE_MS;

	while (leash_signal(mark, SIGKILL) && now_ms() < end)
		nanosleep(&tick, NULL);
}
