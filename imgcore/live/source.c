/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "imgcore/opener.h"
#include "tree/mount_type.h"

static void set_identity(struct source *source, const struct statx *stx)
{
	source->dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
	source->ino = stx->stx_ino;
	source->mount = stx->stx_mask & STATX_MNT_ID ? stx->stx_mnt_id : 0;
}

/* Takes the directory's identity, without a request to its file system. */
static int identify(struct source *source, int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	set_identity(source, &stx);
	return 0;
}

int source_init(struct source *source, const struct live_options *options)
{
	*source = (struct source){
		.options = options,
		.number = 1,
		.fd = fcntl(options->image.src_fd, F_DUPFD_CLOEXEC, 3),
		.opener = opener_ref(options->image.scan.opener),
	};
	return source->fd < 0 ? -errno : identify(source, source->fd);
}

void source_release(struct source *source)
{
	base_closep(&source->fd);
	source->fd = -1;
	opener_unref(source->opener);
	source->opener = NULL;
}

static int fail(const struct source *source, int err, struct diag *diag)
{
	const char *path = source->options->image.src_path;

	if (err == -ENOENT || err == -ENOTDIR)
		return diag_set(
			diag, err, path,
			"%s any more; make it again, and open the disk again",
			err == -ENOENT ? "no such directory"
				       : "not a directory");
	if (err == -EXDEV)
		return diag_set(
			diag, err, path,
			"leads to the mount of this disk or of another; give it another directory");
	return diag_set(diag, err, path, NULL);
}

int source_poll(struct source *source, uint64_t own_dev, int mountinfo,
		bool *ret_moved, struct diag *diag)
{
	const struct live_options *options = source->options;
	_cleanup_close_ int fd = -1;
	struct source now = *source;
	struct statx stx;
	int r;

	*ret_moved = false;
	if (!options->path)
		return 0;
	fd = opener_find(options->path, own_dev, mountinfo, &stx);
	if (fd < 0)
		return fail(source, fd, diag);
	set_identity(&now, &stx);
	if (now.dev == source->dev && now.ino == source->ino &&
	    now.mount == source->mount)
		return 0;
	if (mount_type_is_disk(mountinfo, &stx))
		return fail(source, -EXDEV, diag);
	now.fd = -1;
	now.opener = NULL;
	if (options->find)
		r = options->find(options->context, own_dev, &now.fd,
				  &now.opener);
	else
		r = now.fd = opener_find(options->path, own_dev, -1, NULL);
	if (r >= 0)
		r = identify(&now, now.fd);
	if (r < 0) {
		source_release(&now);
		return fail(source, r, diag);
	}
	source_release(source);
	*source = now;
	source->number++;
	*ret_moved = true;
	return 0;
}
