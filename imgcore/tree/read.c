/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

/* Files are opened for each read, and checked behind it. */
struct reading {
	struct content_reader reader;
	struct diag *diag;
};

int tree_judge_read(const struct tree *tree, tree_id id, ssize_t n, size_t len,
		    struct diag *diag)
{
	if (n < 0)
		return tree_fail(tree, id, (int)n, NULL, diag);
	if ((size_t)n == len)
		return 0;
	return tree_fail(tree, id, -EIO, "gives fewer bytes than its size says",
			 diag);
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
	return r < 0 ? r : tree_judge_read(tree, file, n, len, diag);
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
		       ? tree_fail(tree, id, r, NULL, diag)
		       : r;
}
