/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sum of every byte of a disk:
 *
 *     golden_disk memory             of a tree that is made here
 *     golden_disk host DIR THREADS   of a directory of the host
 *
 * GRUB is left out: its version is the machine's.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "imgcore/diag.h"
#include "imgcore/image.h"

static void check(int result)
{
	if (result < 0) {
		fprintf(stderr, "golden_disk: %s\n", strerror(-result));
		exit(1);
	}
}

__attribute__((noreturn)) static void give_up(const struct diag *diag, int err)
{
	fprintf(stderr, "golden_disk: %s\n", diag_format(diag, err));
	exit(1);
}

/* ---- the tree ---- */

static struct tree_attr attr_of(uint32_t mode, unsigned number)
{
	return (struct tree_attr){
		.mode = mode,
		.uid = number * 1000,
		.gid = 70000 + number,
		.mtime = INT64_C(1546500000) * (number % 4) - 100000000,
		.mtime_ns = number * 1000003 % 1000000000,
		.major = 4 + number * 50,
		.minor = number * 777,
	};
}

static builder_id add(struct tree_builder *b, builder_id parent,
		      const char *name, uint32_t mode, unsigned number)
{
	struct tree_attr attr = attr_of(mode, number);
	builder_id id;

	check(tree_builder_add(b, parent, name, strlen(name), &attr, &id));
	return id;
}

static builder_id add_file(struct tree_builder *b, builder_id parent,
			   const char *name, size_t size, unsigned number)
{
	struct tree_attr attr = attr_of(S_IFREG | (0600 + number % 64), number);
	uint8_t *bytes = malloc(size + 1);
	struct content *content;
	builder_id id;

	check(bytes ? 0 : -1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(1 + (i * 7 + number) % 251);
	check(content_new_bytes(&content, bytes, size));
	free(bytes);
	check(tree_builder_add_content(b, parent, name, &attr, content, size,
				       &id));
	return id;
}

static void add_symlink(struct tree_builder *b, builder_id parent,
			const char *name, size_t len)
{
	struct tree_attr attr = attr_of(S_IFLNK | 0777, (unsigned)len);
	char target[4096];

	memset(target, 't', sizeof(target));
	check(tree_builder_add_symlink(b, parent, name, &attr, target, len,
				       NULL));
}

static void add_types(struct tree_builder *b)
{
	builder_id dir = add(b, 0, "types", S_IFDIR | 01777, 1);

	add(b, dir, "char", S_IFCHR | 0660, 2);
	add(b, dir, "block", S_IFBLK | 0660, 100);
	add(b, dir, "fifo", S_IFIFO | 0600, 3);
	add(b, dir, "socket", S_IFSOCK | 06755, 4);
	add_symlink(b, dir, "short", 59);
	add_symlink(b, dir, "long", 60);
	add_symlink(b, dir, "longest", 4095);
	add(b, dir, "empty", S_IFDIR | 0, 5);
}

static void add_links(struct tree_builder *b)
{
	builder_id here = add(b, 0, "here", S_IFDIR | 0755, 6);
	builder_id there = add(b, 0, "there", S_IFDIR | 0755, 7);
	builder_id file = add_file(b, there, "file", 10000, 8);

	check(tree_builder_add_link(b, here, "again", 5, file));
	check(tree_builder_add_link(b, 0, "\xff\n bytes", 8, file));
}

static void add_sizes(struct tree_builder *b)
{
	static const size_t sizes[] = { 0,     1,     4095,    4096,   4097,
					49152, 49153, 4243456, 4243457 };
	builder_id dir = add(b, 0, "sizes", S_IFDIR | 0755, 9);
	struct tree_attr attr = attr_of(S_IFREG | 0644, 10);
	struct content *content;
	builder_id id;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%zu", sizes[i]);
		add_file(b, dir, name, sizes[i], 20 + i);
	}
	/* All hole: no byte of it is read. */
	check(content_new_bytes(&content, NULL, 0));
	check(tree_builder_add_content(b, dir, "hole", &attr, content,
				       UINT64_C(1) << 40, &id));
	check(tree_builder_set_extents(b, id, NULL, 0));
}

static void add_many(struct tree_builder *b)
{
	builder_id dir = add(b, 0, "many", S_IFDIR | 0755, 11);
	char name[256];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%u-%0*u", i * 7919 % 3000,
			 (int)(i % 200), i);
		add(b, dir, name, S_IFREG | 0644, i);
	}
	memset(name, 'n', 255);
	name[255] = '\0';
	for (unsigned i = 0; i < 20; i++)
		dir = add(b, dir, name, S_IFDIR | 0755, i);
}

static void add_lost_found(struct tree_builder *b)
{
	tree_builder_reserve(b, add(b, 0, "lost+found", S_IFDIR | 0700, 0));
}

static struct tree *make_tree(void (*const fill[])(struct tree_builder *))
{
	struct tree_attr root = attr_of(S_IFDIR | 0755, 12);
	struct tree_builder *b;
	struct tree *tree;

	check(tree_builder_new(&b, &root));
	add_lost_found(b);
	for (; *fill; fill++)
		(*fill)(b);
	check(tree_build(b, &tree, NULL));
	tree_builder_free(b);
	return tree;
}

/* ---- the disk ---- */

static struct image *memory_image(void)
{
	static void (*const few[])(struct tree_builder *) = { add_links, NULL };
	static void (*const all[])(struct tree_builder *) = {
		add_types, add_links, add_sizes, add_many, NULL
	};
	const struct image_options options = {
		.src_path = "fixed tree",
		.boot.no_grub = true,
	};
	struct image_trees trees = { .tree = { make_tree(few),
					       make_tree(all) } };
	struct diag diag = DIAG_INIT;
	struct image *image;
	int r = image_assemble(&options, NULL, &trees, NULL, &image, &diag);

	if (r < 0)
		give_up(&diag, r);
	return image;
}

/* What is not told how many threads to use goes by the cores there are. */
static void use_one_core(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static struct image *host_image(const char *path, unsigned threads)
{
	const struct image_options options = {
		.src_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.src_path = path,
		.scan.threads = threads,
		.boot.no_grub = true,
	};
	struct diag diag = DIAG_INIT;
	struct image *image;
	int r;

	if (threads == 1)
		use_one_core();
	r = image_build(&options, &image, &diag);

	if (r < 0)
		give_up(&diag, r);
	return image;
}

static void print_sum(const struct image *image)
{
	static uint8_t buf[1 << 20];
	XXH3_state_t *state = XXH3_createState();
	XXH128_canonical_t sum;

	XXH3_128bits_reset(state);
	for (uint64_t at = 0; at < image_size(image); at += sizeof(buf)) {
		uint64_t left = image_size(image) - at;
		size_t n = left < sizeof(buf) ? left : sizeof(buf);
		struct diag diag = DIAG_INIT;
		int r = image_pread(image, buf, n, at, &diag);

		if (r < 0)
			give_up(&diag, r);
		XXH3_128bits_update(state, buf, n);
	}
	XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(state));
	XXH3_freeState(state);
	for (size_t i = 0; i < sizeof(sum.digest); i++)
		printf("%02x", sum.digest[i]);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct image *image = NULL;

	if (argc == 2 && strcmp(argv[1], "memory") == 0)
		image = memory_image();
	if (argc == 4 && strcmp(argv[1], "host") == 0)
		image = host_image(argv[2], (unsigned)atoi(argv[3]));
	if (!image) {
		fprintf(stderr,
			"usage: golden_disk memory | host DIR THREADS\n");
		return 2;
	}
	print_sum(image);
	image_free(image);
	return 0;
}
