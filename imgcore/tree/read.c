/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

/* Files are opened for each read. */
struct reading {
	struct content_reader reader;
	struct diag *diag;
};

int tree_read_opened(const struct tree *tree, tree_id id, int fd,
		     const struct tree_check *check, void *buf, size_t len,
		     uint64_t offset, struct diag *diag)
{
	/* If it is unchanged after the read, it was unchanged before it. */
	ssize_t n = io_pread(fd, buf, len, offset);
	int r = check ? check->verify(check, tree, id, fd, diag)
		      : tree_verify_host(tree, id, fd, diag);

	if (r == -ESTALE && check && check->serve_stale) {
		struct stat st;

		if (n < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return r;
		memset((uint8_t *)buf + n, 0, len - (size_t)n);
		return 1;
	}
	if (r < 0)
		return r;
	if (n < 0)
		return tree_fail(tree, id, (int)n, NULL, diag);
	if ((size_t)n < len)
		return tree_fail(tree, id, -EIO,
				 "gives fewer bytes than its size says", diag);
	return 0;
}

static int read_host(const struct content_reader *reader,
		     const struct tree *tree, tree_id file, void *buf,
		     size_t len, uint64_t offset)
{
	struct diag *diag = ((const struct reading *)reader)->diag;
	_cleanup_close_ int fd = -1;
	int r = tree_open_host_in(tree, file, NULL, &fd, diag);

	return r < 0 ? r
		     : tree_read_opened(tree, file, fd, NULL, buf, len, offset,
					diag);
}

int tree_read_through(const struct tree *tree, tree_id id,
		      const struct content_reader *reader, void *buf,
		      size_t len, uint64_t offset, struct diag *diag)
{
	struct content *content = tree_content(tree, id);
	int r;

	if (!content)
		return reader->read(reader, tree, id, buf, len, offset);
	r = content->pread(content, reader, buf, len, offset);
	/* What a host file's read has reported stays. */
	return r < 0 && diag && !diag->reason
		       ? tree_fail(tree, id, r, NULL, diag)
		       : r;
}

int tree_read(const struct tree *tree, tree_id id, void *buf, size_t len,
	      uint64_t offset, struct diag *diag)
{
	const struct reading reading = { { read_host }, diag };

	return tree_read_through(tree, id, &reading.reader, buf, len, offset,
				 diag);
}
