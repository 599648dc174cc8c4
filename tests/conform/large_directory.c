/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * large_directory KIND NUMBER FILE: an ext2 file system with one directory,
 * /d, of that many entries, which no directory of the host is behind. KIND:
 *   names    empty files 0 ... NUMBER - 1
 *   subdirs  directories of such names
 *   long     files with names of 255 bytes, 15 to a leaf
 *   random   files with any names; NUMBER is the seed
 *   pairs    files whose names come in pairs of one hash, so that leaves end
 *            within them
 * Holes are left where the file system has none of its blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "ext2/htree.h"
#include "imgcore/diag.h"
#include "imgcore/ext2.h"
#include "imgcore/tree.h"

#define FREE_BYTES (UINT64_C(64) << 20)

static const uint8_t seed[16] = { 0x20, 0x19, 0x01, 0x03 };

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-result));
	exit(1);
}

static void add(struct tree_builder *b, builder_id dir, uint32_t mode,
		const char *name, size_t len)
{
	const struct tree_attr attr = { .mode = mode };

	check(tree_builder_add(b, dir, name, len, &attr, NULL), "add");
}

static void add_numbers(struct tree_builder *b, builder_id dir, uint32_t mode,
			uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "%u", i);

		add(b, dir, mode, name, (size_t)len);
	}
}

/* 255 bytes. */
static void long_name(uint32_t number, char name[256])
{
	int len = snprintf(name, 256, "%u-", number);

	memset(name + len, 'x', (size_t)(255 - len));
	name[255] = '\0';
}

static void add_long(struct tree_builder *b, builder_id dir, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char name[256];

		long_name(i, name);
		add(b, dir, S_IFREG | 0644, name, 255);
	}
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void add_random(struct tree_builder *b, builder_id dir, uint64_t state)
{
	uint32_t n = (uint32_t)(draw(&state) % (1u << draw(&state) % 16));
	uint32_t most = 8 + (uint32_t)(draw(&state) % 248);

	for (uint32_t i = 0; i < n; i++) {
		char name[256];
		/* The number keeps names apart. */
		size_t len = (size_t)snprintf(name, sizeof(name), "%x-", i);
		size_t end = len + draw(&state) % (most - len);

		for (; len < end; len++) {
			name[len] = (char)draw(&state);
			if (name[len] == '\0' || name[len] == '/')
				name[len] = '-';
		}
		add(b, dir, S_IFREG | 0644, name, len);
	}
}

/* ---- pairs ---- */

struct named {
	uint32_t hash;
	uint32_t number;
};

static int by_hash(const void *a, const void *b)
{
	const struct named *x = a;
	const struct named *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/*
 * By the birthday paradox n names with hashes of 31 bits have n * n / 2^32
 * pairs. With 15 names to a leaf, every second leaf ends within one.
 */
static void add_pairs(struct tree_builder *b, builder_id dir, uint32_t wanted)
{
	const uint32_t n = 1u << 20;
	_cleanup_free_ struct named *names = calloc(n, sizeof(*names));
	char name[256];

	check(names ? 0 : -ENOMEM, "names");
	for (uint32_t i = 0; i < n; i++) {
		long_name(i, name);
		names[i] = (struct named){ htree_half_md4(seed, name, 255), i };
	}
	qsort(names, n, sizeof(*names), by_hash);
	for (uint32_t i = 1; i < n && wanted > 0; i++) {
		if (names[i - 1].hash != names[i].hash)
			continue;
		long_name(names[i - 1].number, name);
		add(b, dir, S_IFREG | 0644, name, 255);
		long_name(names[i].number, name);
		add(b, dir, S_IFREG | 0644, name, 255);
		wanted -= 2;
		i++;
	}
	check(wanted ? -ERANGE : 0, "pairs");
}

/* ---- the file system ---- */

static struct tree *make_tree(const char *kind, uint32_t n)
{
	const struct tree_attr attr = { .mode = S_IFDIR | 0755 };
	struct tree_builder *b;
	struct tree *tree;
	builder_id dir;

	check(tree_builder_new(&b, &attr), "builder");
	check(tree_builder_add(b, 0, "lost+found", 10, &attr, &dir), "add");
	tree_builder_reserve(b, dir);
	check(tree_builder_add(b, 0, "d", 1, &attr, &dir), "add");
	if (strcmp(kind, "names") == 0)
		add_numbers(b, dir, S_IFREG | 0644, n);
	else if (strcmp(kind, "subdirs") == 0)
		add_numbers(b, dir, S_IFDIR | 0755, n);
	else if (strcmp(kind, "long") == 0)
		add_long(b, dir, n);
	else if (strcmp(kind, "random") == 0)
		add_random(b, dir, n);
	else if (strcmp(kind, "pairs") == 0)
		add_pairs(b, dir, n);
	else
		check(-EINVAL, kind);
	check(tree_build(b, &tree, NULL), "tree");
	tree_builder_free(b);
	return tree;
}

static struct volume *make_volume(const struct tree *tree)
{
	struct ext2_options options = {
		.free = FREE_BYTES,
		.uuid = seed,
		.label = "large",
	};
	struct ext2_contents *contents;
	struct volume *volume;

	check(ext2_contents_new(&contents, tree, seed, NULL, NULL), "contents");
	check(ext2_contents_size(contents, FREE_BYTES, &options.size, NULL),
	      "size");
	check(ext2_volume_new(&volume, contents, &options, NULL), "volume");
	return volume;
}

/* All files are empty: what is not rendered is zero. */
static void dump(const struct volume *volume, int fd)
{
	struct region region;

	for (uint64_t at = 0; at < volume->blocks;
	     at = region.end / EXT2_BLOCK) {
		volume->ops->locate(volume, at, &region);
		if (region.kind != REGION_RENDER)
			continue;
		for (; at * EXT2_BLOCK < region.end; at++) {
			uint8_t buf[EXT2_BLOCK];

			volume->ops->render(volume, &region,
					    at - region.start / EXT2_BLOCK,
					    buf);
			check(io_pwrite(fd, buf, EXT2_BLOCK, at * EXT2_BLOCK),
			      "write");
		}
	}
}

int main(int argc, char **argv)
{
	struct volume *volume;
	struct tree *tree;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: %s KIND NUMBER FILE\n", argv[0]);
		return 2;
	}
	tree = make_tree(argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
	volume = make_volume(tree);
	fd = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)(volume->blocks * EXT2_BLOCK)) < 0)
		check(-errno, argv[3]);
	dump(volume, fd);
	if (close(fd) < 0)
		check(-errno, argv[3]);
	volume_free(volume);
	tree_free(tree);
	return 0;
}
