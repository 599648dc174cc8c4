/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

/* Files are opened for each read, and checked behind it. */
struct reading {
	struct content_reader reader;
	struct diag *diag;
};

static int fail(const struct tree *tree, tree_id id, int err,
		const char *reason, struct diag *diag)
{
	_cleanup_free_ char *path = NULL;

	if (diag)
		(void)tree_host_path(tree, id, &path);
	return diag_set(diag, err, path, "%s", reason);
}

static int read_host(const struct content_reader *reader,
		     const struct tree *tree, tree_id file, void *buf,
		     size_t len, uint64_t offset)
{
	struct diag *diag = ((const struct reading *)reader)->diag;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r = tree_open_host_in(tree, file, NULL, &fd, diag);

	if (r < 0)
		return r;
	n = io_pread(fd, buf, len, offset);
	r = tree_verify_host(tree, file, fd, diag);
	if (r < 0)
		return r;
	if (n < 0)
		return fail(tree, file, (int)n, strerror((int)-n), diag);
	return (size_t)n == len
		       ? 0
		       : fail(tree, file, -EIO,
			      "gives fewer bytes than its size says", diag);
}

int tree_read(const struct tree *tree, tree_id id, void *buf, size_t len,
	      uint64_t offset, struct diag *diag)
{
	const struct reading reading = { { read_host }, diag };
	struct content *content = tree_content(tree, id);
	int r;

	if (!content)
		return read_host(&reading.reader, tree, id, buf, len, offset);
	r = content->pread(content, &reading.reader, buf, len, offset);
	/* What a host file has said stays. */
	return r < 0 && diag && !diag->reason
		       ? fail(tree, id, r, strerror(-r), diag)
		       : r;
}
