/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int path_of_fd(int fd, const char *opened_by, char **ret_path)
{
	char link[64];
	char path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n < 0) {
		*ret_path = realpath(opened_by, NULL);
		return *ret_path ? 0 : -errno;
	}
	if (n == sizeof(path))
		return -ENAMETOOLONG;
	path[n] = '\0';
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}
