/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_FOLLOW_H
#define TREE_FOLLOW_H

/*
 * Follows symbolic links that may lead anywhere on the host. Each name is
 * opened with O_PATH and checked without a request to its file system: so our
 * own mount is recognized before it could be waited for. Results are those of
 * the kernel, except that no automount is triggered, the links of /proc that
 * are more than their text are followed by their text, and no link is followed
 * out of a sticky directory of another user that everyone may write to,
 * whatever fs.protected_symlinks says.
 *
 * Errors: 0 or a negative errno. Threading: any.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* st_dev of what statx found. */
static inline uint64_t statx_device(const struct statx *stx)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

/*
 * Returns the identity of an O_PATH descriptor (STATX_BASIC_STATS and
 * STATX_MNT_ID), without a request to its file system, which may be our own.
 * -EXDEV: it is on own_dev.
 */
int follow_look(int fd, uint64_t own_dev, struct statx *ret_stx);

/* Where a link leads: the caller releases it. */
struct followed {
	int dirfd; /* O_PATH: the directory of the target */
	char *name; /* of the target in it, which is no link */
	struct statx stx; /* STATX_BASIC_STATS of the target */
};
#define FOLLOWED_INIT        \
	{                    \
		.dirfd = -1, \
	}
void followed_release(struct followed *followed);

/*
 * Follows the link `name` in a directory to a regular file. own_dev: st_dev of
 * our own mount, 0: there is none; mountinfo: as mount_type_is_disk takes it.
 * -EXDEV: the way leads through a disk, which may wait for this one; -EISDIR or
 * -EINVAL: to something else than a regular file; -ENOENT, -ENOTDIR, -ELOOP,
 * -ENAMETOOLONG, -EACCES: as open would say.
 */
int follow_resolve(int dirfd, const char *name, uint64_t own_dev, int mountinfo,
		   struct followed *ret_followed);

/*
 * Whether the link `name` in the directory `dir` beneath the root (a path, ""
 * for the root) leads out of the root: by an absolute path, or above it. One
 * that dangles inside does not.
 */
bool follow_leads_out(int root_fd, const char *dir, const char *name,
		      uint64_t own_dev, int mountinfo);

#endif
