/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The archive of a directory of the host, for judges that want a file:
 *
 *     made_cpio as-is|modules SRC PATH FILE SEED
 *
 * PATH is the archive's directory in SRC. Ranges of it are read once more, at
 * places drawn from SEED: exit status 1 if one differs from the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "imgcore/archive.h"
#include "imgcore/diag.h"
#include "random_tree.h"

#define CHUNK  ((uint64_t)1 << 20)
#define RANGES 200

static void give_up(const char *what, const struct diag *diag, int err)
{
	char *text = diag ? diag_format(diag, err) : NULL;

	fprintf(stderr, "%s\n", text ? text : what);
	free(text);
	exit(2);
}

static struct tree *scan(const char *path, unsigned threads)
{
	const struct tree_scan_options options = { .threads = threads };
	struct diag diag = DIAG_INIT;
	struct tree *tree = NULL;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno
		       : tree_scan(fd, path, &options, NULL, &tree, &diag);

	if (r < 0)
		give_up(path, &diag, r);
	close(fd);
	return tree;
}

static struct cpio *make(const struct tree *tree, const char *path,
			 const char *layout)
{
	tree_id dir = tree_find(tree, path);
	struct diag diag = DIAG_INIT;
	struct cpio *cpio = NULL;
	int r = -ENOENT;

	if (dir != TREE_NONE)
		r = cpio_new(&cpio, tree, dir,
			     strcmp(layout, "modules") == 0 ? CPIO_MODULES
							    : CPIO_AS_IS,
			     &diag);
	if (r < 0)
		give_up(path, &diag, r);
	return cpio;
}

/* The archive as a file of a tree, so that tree_read reads it. */
static struct tree *wrap(struct cpio *cpio, uint64_t size)
{
	const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	const struct tree_attr file = { .mode = S_IFREG | 0644 };
	struct tree_builder *b = NULL;
	struct tree *tree = NULL;

	if (tree_builder_new(&b, &dir) < 0 ||
	    tree_builder_add_content(b, 0, "a", &file, cpio_content(cpio), size,
				     NULL) < 0 ||
	    tree_build(b, &tree, NULL) < 0)
		abort();
	tree_builder_free(b);
	return tree;
}

static void read_at(const struct tree *tree, char *buf, uint64_t len,
		    uint64_t at)
{
	struct diag diag = DIAG_INIT;
	int r = tree_read(tree, tree_find(tree, "a"), buf, len, at, &diag);

	if (r < 0)
		give_up("read", &diag, r);
}

/* All of it into a file, which is mapped. */
static char *write_file(const struct tree *tree, const char *path,
			uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char *bytes;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		give_up(path, NULL, -errno);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		give_up(path, NULL, -errno);
	for (uint64_t at = 0; at < size; at += CHUNK)
		read_at(tree, bytes + at, size - at < CHUNK ? size - at : CHUNK,
			at);
	close(fd);
	return bytes;
}

static int compare(const struct tree *tree, const char *bytes, uint64_t size,
		   uint64_t seed)
{
	static char buf[CHUNK];
	struct random r;

	random_init(&r, seed);
	for (int i = 0; i < RANGES; i++) {
		uint64_t most = UINT64_C(1) << random_below(&r, 21);
		uint64_t at = random_below(&r, size + 1);
		uint64_t len = random_below(&r, most + 1);

		if (len > size - at)
			len = size - at;
		read_at(tree, buf, len, at);
		if (memcmp(buf, bytes + at, len) != 0) {
			fprintf(stderr, "%llu bytes at %llu differ\n",
				(unsigned long long)len,
				(unsigned long long)at);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct tree *tree, *other, *outer;
	struct cpio *cpio;
	uint64_t size;
	char *bytes;
	int status;

	if (argc != 6)
		give_up("made_cpio as-is|modules SRC PATH FILE SEED", NULL, 0);
	tree = scan(argv[2], 1);
	other = scan(argv[2], 8);
	if (!tree_equal(tree, other))
		give_up("another tree by several threads", NULL, 0);
	tree_free(other);
	cpio = make(tree, argv[3], argv[1]);
	size = cpio_size(cpio);
	outer = wrap(cpio, size);
	bytes = write_file(outer, argv[4], size);
	status = compare(outer, bytes, size, strtoull(argv[5], NULL, 0));
	munmap(bytes, size);
	tree_free(outer);
	tree_free(tree);
	return status;
}
