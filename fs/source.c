/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "path.h"

int source_open(const char *src, int *ret_fd, char **ret_path,
		struct diag *diag)
{
	_cleanup_close_ int fd = open(src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return diag_set(diag, -ENOENT, src,
				"no such directory; give the tree to show");
	if (fd < 0 && errno == ENOTDIR)
		return diag_set(diag, -ENOTDIR, src,
				"not a directory; give the tree to show");
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_set(diag, -errno, src, NULL);
	if (st.st_nlink == 0)
		return diag_set(diag, -ENOENT, src, "has been removed");
	r = path_of_fd(fd, src, ret_path);
	if (r < 0)
		return diag_set(diag, r, src, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}
