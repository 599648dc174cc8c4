/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "first_sector.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SECTOR 512

int first_sector_read(const char *disk, dev_t *ret_dev)
{
	_cleanup_close_ int fd = open(disk, O_RDONLY | O_CLOEXEC);
	char sector[SECTOR];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = io_pread(fd, sector, sizeof(sector), 0);
	if (n < 0)
		return (int)n;
	if (n != sizeof(sector))
		return -EIO;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_dev = st.st_dev;
	return 0;
}
