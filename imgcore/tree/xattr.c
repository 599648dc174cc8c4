/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/vec.h"
#include "base/xattr_calls.h"

/* Enough for nearly all lists and values; larger ones are read again. */
#define SMALL_SIZE 4096u

/* ---- the calls ---- */

/* struct xattr_args of <linux/xattr.h>, which older headers do not have. */
struct xattr_place {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size;
	uint32_t flags;
};

/* The length of a path to the entry of an open directory. */
#define PROC_PATH_MAX \
	(sizeof("/proc/thread-self/fd/") + 3 * sizeof(int) + NAME_MAX + 2)

static void proc_path(char path[PROC_PATH_MAX], int dirfd, const char *name)
{
	(void)snprintf(path, PROC_PATH_MAX, "/proc/thread-self/fd/%d/%s", dirfd,
		       name);
}

static long call_list(const struct xattr_reader *reader, int dirfd,
		      const char *name, char *buf, size_t size)
{
	char path[PROC_PATH_MAX];
	long len;

	if (reader->by_proc) {
		proc_path(path, dirfd, name);
		len = llistxattr(path, buf, size);
	} else {
		len = syscall(SYS_listxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW,
			      buf, size);
	}
	return len < 0 ? -errno : len;
}

static long call_get(const struct xattr_reader *reader, int dirfd,
		     const char *name, const char *xattr, char *buf,
		     size_t size)
{
	struct xattr_place place = { (uintptr_t)buf, (uint32_t)size, 0 };
	char path[PROC_PATH_MAX];
	long len;

	if (reader->by_proc) {
		proc_path(path, dirfd, name);
		len = lgetxattr(path, xattr, buf, size);
	} else {
		len = syscall(SYS_getxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW,
			      xattr, &place, sizeof(place));
	}
	return len < 0 ? -errno : len;
}

/* ---- one entry ---- */

static int fail(struct xattr_reader *reader, int err, const char *xattr,
		const char *reason)
{
	if (xattr)
		(void)snprintf(reader->reason, sizeof(reader->reason),
			       "extended attribute %s: %s", xattr, reason);
	else
		(void)snprintf(reader->reason, sizeof(reader->reason),
			       "its extended attributes: %s", reason);
	return err;
}

/* Whether it does not exist, not any more, or not for this process. */
static bool is_absence(long r)
{
	return r == -ENODATA || r == -ENOENT || r == -ENOTSUP || r == -EPERM ||
	       r == -EACCES;
}

/*
 * Fills names and returns its length (0: there are none) or a negative errno.
 * If the last entry had none, only the length is asked for first: for that the
 * kernel needs no memory.
 */
static long read_names(struct xattr_reader *reader, int dirfd, const char *name,
		       uint64_t dev)
{
	long len = -ERANGE;

	if (!reader->some)
		len = call_list(reader, dirfd, name, NULL, 0);
	if (len > 0 || len == -ERANGE)
		len = call_list(reader, dirfd, name, reader->names.items,
				reader->names.size);
	reader->some = len > 0;
	if (len == -ERANGE) {
		if (vec_reserve(&reader->names, XATTR_LIST_MAX) < 0)
			return -ENOMEM;
		len = call_list(reader, dirfd, name, reader->names.items,
				reader->names.size);
	}
	if (len == -ENOTSUP) {
		reader->none_there = true;
		reader->none_dev = dev;
	}
	if (is_absence(len))
		return 0;
	if (len == -E2BIG || len == -ERANGE)
		return fail(reader, -E2BIG, NULL,
			    "more names than Linux can list");
	return len < 0 ? fail(reader, (int)len, NULL, strerror((int)-len))
		       : len;
}

/* Adds one attribute with its value. */
static int read_value(struct xattr_reader *reader, int dirfd, const char *name,
		      const char *xattr, uint8_t index, const char *rest)
{
	long len = call_get(reader, dirfd, name, xattr, reader->value.items,
			    reader->value.size);
	int r;

	if (len == -ERANGE) {
		/* No value is larger: no need to ask for its size. */
		if (vec_reserve(&reader->value, XATTR_SIZE_MAX) < 0)
			return -ENOMEM;
		len = call_get(reader, dirfd, name, xattr, reader->value.items,
			       reader->value.size);
	}
	if (is_absence(len))
		return 0;
	if (len < 0)
		return fail(reader, (int)len, xattr, strerror((int)-len));
	r = xattr_list_add(&reader->list, index, rest, reader->value.items,
			   (size_t)len);
	if (r == -EINVAL)
		return fail(reader, r, xattr,
			    "not of a form that is known; leave it out with "
			    "--xattrs=user or none");
	return r;
}

int xattrs_scan(struct xattr_reader *reader, struct dir_builder *builder,
		struct entry *e, int dirfd, const char *name)
{
	const char *rest;
	const char *end;
	uint8_t index;
	size_t size;
	long len;
	int r;

	if (reader->which == TREE_XATTRS_NONE ||
	    (reader->none_there && reader->none_dev == e->dev))
		return 0;
	reader->reason[0] = '\0';
	if ((!reader->names.items || !reader->value.items) &&
	    (vec_reserve(&reader->names, SMALL_SIZE) < 0 ||
	     vec_reserve(&reader->value, SMALL_SIZE) < 0))
		return -ENOMEM;
	len = read_names(reader, dirfd, name, e->dev);
	if (len <= 0)
		return (int)len;
	xattr_list_clear(&reader->list);
	end = reader->names.items + len;
	for (const char *x = reader->names.items; x < end; x += strlen(x) + 1) {
		enum xattr_class class = xattr_set_classify(x, reader->which,
							    &index, &rest);

		if (class == XATTR_UNKNOWN)
			return fail(reader, -EOPNOTSUPP, x,
				    "of a kind that ext2 has no place for; "
				    "leave it out with --xattrs=user or none");
		if (class == XATTR_LEFT_OUT)
			continue;
		r = read_value(reader, dirfd, name, x, index, rest);
		if (r < 0)
			return r;
	}
	size = xattr_list_size(&reader->list);
	if (size == 0)
		return 0;
	if (vec_reserve(&builder->xattrs, size) < 0)
		return -ENOMEM;
	r = xattr_list_finish(&reader->list,
			      builder->xattrs.items + builder->xattrs.count);
	if (r < 0)
		return fail(reader, r, NULL, "one is listed twice");
	e->first_xattr = builder->xattrs.count;
	e->xattrs_len = size;
	builder->xattrs.count += size;
	return 0;
}

/* ---- readers ---- */

int xattr_reader_init(struct xattr_reader *reader, enum tree_xattrs which,
		      int dirfd)
{
	long len;

	*reader = (struct xattr_reader){ .which = which };
	if (which == TREE_XATTRS_NONE)
		return 0;
	len = call_list(reader, dirfd, ".", NULL, 0);
	/* -EPERM: from a sandbox that does not know the new calls. */
	if (len != -ENOSYS && len != -EPERM)
		return 0;
	reader->by_proc = true;
	if (call_list(reader, dirfd, ".", NULL, 0) == -ENOENT)
		return fail(reader, -ENOSYS, NULL,
			    "cannot be read without /proc; mount it, or leave "
			    "them out with --xattrs=none");
	return 0;
}

struct xattr_reader xattr_reader_like(const struct xattr_reader *reader)
{
	return (struct xattr_reader){ .which = reader->which,
				      .by_proc = reader->by_proc };
}

void xattr_reader_release(struct xattr_reader *reader)
{
	xattr_list_release(&reader->list);
	vec_free(&reader->names);
	vec_free(&reader->value);
}
