/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "readahead.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * The kernel's own choice is 128: half of one request. Only root
 * may change it, and only when the connection is up: its start sets it back.
 */
#define KILOBYTES "1024"

void readahead_raise(int disk)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char text[80];
	ssize_t n;

	/* While it is open, its device number is no other file system's. */
	if (fstat(disk, &st) < 0)
		return;
	snprintf(text, sizeof(text), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(st.st_dev), minor(st.st_dev));
	fd = open(text, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	if (strtoul(text, NULL, 10) < strtoul(KILOBYTES, NULL, 10))
		n = pwrite(fd, KILOBYTES, strlen(KILOBYTES), 0);
	(void)n; /* as fast as it was, then */
}
