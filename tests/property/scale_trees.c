/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scale_trees.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "random_tree.h"

#define BLOCK UINT64_C(4096)

static const struct tree_attr dir_attr = { .mode = S_IFDIR | 0755 };
static const struct tree_attr file_attr = { .mode = S_IFREG | 0644 };

static void check(int result)
{
	if (result < 0)
		abort();
}

static struct tree_builder *begin(void)
{
	struct tree_builder *b;

	check(tree_builder_new(&b, &dir_attr));
	add_lost_found(b);
	return b;
}

static struct tree *end(struct tree_builder *b)
{
	struct tree *tree;

	check(tree_build(b, &tree, NULL));
	tree_builder_free(b);
	return tree;
}

static builder_id add_dir(struct tree_builder *b, builder_id parent,
			  const char *name)
{
	builder_id id;

	check(tree_builder_add(b, parent, name, strlen(name), &dir_attr, &id));
	return id;
}

static builder_id add_file(struct tree_builder *b, builder_id parent,
			   const char *name, uint64_t size)
{
	builder_id id;

	check(tree_builder_add_content(b, parent, name, &file_attr,
				       pattern_new(size), size, &id));
	return id;
}

/* ---- ends ---- */

/* Data in the first byte and in the last, and around each range's end. */
static void add_sparse(struct tree_builder *b, builder_id dir, uint64_t size)
{
	static const uint64_t ends[] = { 12, 12 + 1024, 12 + 1024 + 1048576 };
	struct tree_extent x[5] = { { 0, 1 } };
	size_t n = 1;
	char name[32];

	for (size_t i = 0; i < 3 && (ends[i] + 2) * BLOCK < size; i++)
		x[n++] = (struct tree_extent){ ends[i] * BLOCK - 1,
					       ends[i] * BLOCK + 1 };
	x[n++] = (struct tree_extent){ size - 1, size };
	snprintf(name, sizeof(name), "sparse-%llu", (unsigned long long)size);
	check(tree_builder_set_extents(b, add_file(b, dir, name, size), x, n));
}

static void add_dense(struct tree_builder *b, builder_id dir, uint64_t size)
{
	char name[32];

	snprintf(name, sizeof(name), "dense-%llu", (unsigned long long)size);
	add_file(b, dir, name, size);
}

/* In blocks: within and at the ends of the ranges of one to four levels. */
static struct tree *ends_tree(void)
{
	static const uint64_t blocks[] = {
		1,
		5,
		12,
		500,
		12 + 1024,
		100000,
		12 + 1024 + 1048576,
		12 + 1024 + 1048576 + 1048576,
		400000000,
	};
	struct tree_builder *b = begin();
	builder_id dir = add_dir(b, 0, "ends");

	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		for (uint64_t d = 0; d < 3; d++) {
			uint64_t size = blocks[i] * BLOCK + d - 1;

			if (size > BLOCK)
				add_sparse(b, dir, size);
			if (size < BLOCK * 2000)
				add_dense(b, dir, size);
		}
	}
	add_sparse(b, dir, PLAIN_FILE);
	add_sparse(b, dir, PLAIN_FILE + 1);
	add_sparse(b, dir, LARGEST_FILE - 1);
	add_sparse(b, dir, LARGEST_FILE);
	add_dense(b, dir, 1);
	return end(b);
}

/* ---- deep ---- */

static void add_deep(struct tree_builder *b, const char *top, unsigned levels,
		     size_t name_len)
{
	builder_id dir = add_dir(b, 0, top);
	char name[256];

	memset(name, 'd', sizeof(name));
	name[name_len] = '\0';
	for (unsigned i = 0; i < levels; i++) {
		add_file(b, dir, "beside", i);
		dir = add_dir(b, dir, name);
	}
	add_file(b, dir, "bottom", 5000);
}

static struct tree *deep_tree(void)
{
	struct tree_builder *b = begin();

	/* 9 + 16 * (1 + 248) + strlen("/bottom") = 4000 */
	add_deep(b, "4000bytes", 16, 248);
	add_deep(b, "far", 300, 255);
	return end(b);
}

/* ---- numbers ---- */

struct tree *links_tree(uint32_t links)
{
	struct tree_builder *b = begin();
	builder_id dirs[10];
	builder_id file;
	char name[16];

	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%u", i);
		dirs[i] = add_dir(b, 0, name);
	}
	file = add_file(b, 0, "file", 5000);
	for (uint32_t i = 1; i < links; i++) {
		int len = snprintf(name, sizeof(name), "link%u", i);

		check(tree_builder_add_link(b, dirs[i % 10], name, (size_t)len,
					    file));
	}
	return end(b);
}

struct tree *million_tree(uint32_t directories, uint32_t files)
{
	struct tree_builder *b = begin();
	char name[16];

	for (uint32_t i = 0; i < directories; i++) {
		builder_id dir;

		snprintf(name, sizeof(name), "d%u", i);
		dir = add_dir(b, 0, name);
		for (uint32_t j = 0; j < files; j++) {
			snprintf(name, sizeof(name), "file%u", j);
			check(tree_builder_add_content(
				b, dir, name, &file_attr,
				pattern_new((uint64_t)i << 32 | j), 512, NULL));
		}
	}
	return end(b);
}

struct tree *scale_tree(const char *name)
{
	if (strcmp(name, "ends") == 0)
		return ends_tree();
	if (strcmp(name, "deep") == 0)
		return deep_tree();
	if (strcmp(name, "links") == 0)
		return links_tree(65000);
	return NULL;
}
