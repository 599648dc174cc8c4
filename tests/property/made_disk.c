/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disk of a tree that is made in memory, for judges that want a file:
 *
 *     made_disk write TREE FILE                writes it, holes left out
 *     made_disk compare TREE PARTITION DIR     is what is mounted the tree?
 *     made_disk compare-holes TREE PARTITION DIR     and where are its holes?
 *
 * TREE is the number that a random tree is made from, or a name out of
 * scale_trees.h. Exit status 1: another tree, as standard error says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "compare.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "random_tree.h"
#include "scale_trees.h"

#define MAX_ENTRIES 400

__attribute__((noreturn)) static void give_up(const char *what,
					      const struct diag *diag, int err)
{
	char *text = diag ? diag_format(diag, err) : NULL;

	fprintf(stderr, "made_disk: %s: %s\n", what,
		text ? text : strerror(-err));
	free(text);
	exit(2);
}

/* The trees of partitions 1 and 2. */
static struct tree *make_tree(const char *name, unsigned partition)
{
	char *end;
	uint64_t seed = strtoull(name, &end, 10);
	struct tree *tree;

	if (*end == '\0')
		return partition == 1
			       ? random_tree(seed * 2, 1, MAX_ENTRIES / 8)
			       : random_tree(seed * 2 + 1, 1, MAX_ENTRIES);
	tree = partition == 1 ? random_tree(1, 1, 0) : scale_tree(name);
	if (!tree)
		give_up(name, NULL, -EINVAL);
	return tree;
}

static struct image *make_image(const char *name)
{
	const struct image_options options = {
		.src_path = "made tree",
		.boot.no_grub = true,
	};
	struct image_trees trees = { .tree = { make_tree(name, 1),
					       make_tree(name, 2) } };
	struct diag diag = DIAG_INIT;
	struct image *image;
	int r = image_assemble(&options, NULL, &trees, NULL, &image, &diag);

	if (r < 0)
		give_up(name, &diag, r);
	return image;
}

static void write_run(const struct image *image, int fd, uint64_t at,
		      uint64_t end)
{
	static uint8_t buf[1 << 20];

	while (at < end) {
		size_t n = end - at < sizeof(buf) ? end - at : sizeof(buf);
		struct diag diag = DIAG_INIT;
		int r = image_pread(image, buf, n, at, &diag);

		if (r == 0)
			r = io_pwrite(fd, buf, n, at);
		if (r < 0)
			give_up("write", &diag, r);
		at += n;
	}
}

static void write_disk(const char *name, const char *path)
{
	struct image *image = make_image(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint64_t at = 0;

	if (fd < 0 || ftruncate(fd, (off_t)image_size(image)) < 0)
		give_up(path, NULL, -errno);
	while ((at = image_next_data(image, at)) < image_size(image)) {
		uint64_t end = image_next_hole(image, at);

		write_run(image, fd, at, end);
		at = end;
	}
	close(fd);
	image_free(image);
}

static int compare(const char *name, const char *partition, const char *dir,
		   bool holes)
{
	struct tree *tree = make_tree(name, (unsigned)atoi(partition));
	unsigned wrong = compare_tree(tree, dir, holes);

	if (wrong > 0)
		fprintf(stderr, "%u differences\n", wrong);
	tree_free(tree);
	return wrong > 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "write") == 0) {
		write_disk(argv[2], argv[3]);
		return 0;
	}
	if (argc == 5 && strncmp(argv[1], "compare", 7) == 0)
		return compare(argv[2], argv[3], argv[4],
			       strcmp(argv[1], "compare-holes") == 0);
	fprintf(stderr, "usage: made_disk write TREE FILE\n"
			"       made_disk compare TREE PARTITION DIR\n"
			"       made_disk compare-holes TREE PARTITION DIR\n");
	return 2;
}
