/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"

static int complain(const char *path, int err, struct diag *diag)
{
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "--pidfile=%s", path) < 0)
		return -ENOMEM;
	return diag_set(diag, err, option, NULL);
}

int pidfile_open(struct pidfile *pidfile, const char *path, struct diag *diag)
{
	_cleanup_free_ char *for_dir = NULL;
	_cleanup_free_ char *for_name = NULL;

	if (!path)
		return 0;
	for_dir = strdup(path);
	for_name = strdup(path);
	if (!for_dir || !for_name)
		return -ENOMEM;
	pidfile->dir_fd = open(dirname(for_dir),
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pidfile->dir_fd < 0)
		return complain(path, -errno, diag);
	pidfile->path = strdup(path);
	pidfile->name = strdup(basename(for_name));
	return pidfile->path && pidfile->name ? 0 : -ENOMEM;
}

int pidfile_write(struct pidfile *pidfile, struct diag *diag)
{
	_cleanup_close_ int fd = -1;
	char text[32];
	int r;

	if (!pidfile->path)
		return 0;
	fd = openat(pidfile->dir_fd, pidfile->name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return complain(pidfile->path, -errno, diag);
	pidfile->written = 1;
	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	r = io_pwrite(fd, text, strlen(text), 0);
	return r < 0 ? complain(pidfile->path, r, diag) : 0;
}

void pidfile_end(struct pidfile *pidfile)
{
	if (pidfile->written)
		unlinkat(pidfile->dir_fd, pidfile->name, 0);
	free(pidfile->path);
	free(pidfile->name);
	base_closep(&pidfile->dir_fd);
	*pidfile = (struct pidfile)PIDFILE_INIT;
}
