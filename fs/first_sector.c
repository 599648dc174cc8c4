/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "first_sector.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/units.h"

int first_sector_read(const char *disk, int *ret_fd)
{
	_cleanup_close_ int fd = open(disk, O_RDONLY | O_CLOEXEC);
	char sector[SECTOR];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = io_pread(fd, sector, sizeof(sector), 0);
	if (n < 0)
		return (int)n;
	if (n != sizeof(sector))
		return -EIO;
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 0;
}
