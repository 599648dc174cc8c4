/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_IMAGE_H
#define UNIT_SUPPORT_IMAGE_H

/* Disks of small trees, without a boot loader. */

#include "support.h"

#include "imgcore/image.h"

DEFINE_CLEANUP(struct image, image_free)
#define _cleanup_image_ _cleanup_(image_freep)

/* A content whose bytes tell where they stand. */
static inline int pattern_pread(struct content *content,
				const struct content_reader *reader, void *buf,
				size_t len, uint64_t offset)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(1 + (offset + i) % 251);
	return 0;
}

static struct content pattern_content = { pattern_pread, zero_release };

static inline builder_id add_pattern(struct tree_builder *builder,
				     builder_id parent, const char *name,
				     uint64_t size)
{
	return add_content(builder, parent, name, &pattern_content, size);
}

/* Files of several sizes, one of them with holes. */
static inline struct tree *pattern_tree(void)
{
	static const struct tree_extent extents[] = { { 8192, 20000 },
						      { 90000, 90001 } };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id dir = add_dir(b, 0, "dir");

	add_pattern(b, dir, "small", 1);
	add_pattern(b, dir, "block", 4096);
	add_pattern(b, 0, "large", 200001);
	assert_ok(tree_builder_set_extents(
		b, add_pattern(b, 0, "sparse", 100000), extents, 2));
	return builder_tree(b);
}

static inline int try_image(uint64_t size, uint64_t boot_size, uint64_t free,
			    struct image **ret_image, struct diag *diag)
{
	const struct image_options options = {
		.src_path = "/src",
		.size = size,
		.boot_size = boot_size,
		.free = free,
		.boot.no_grub = true,
	};
	_cleanup_builder_ struct tree_builder *b = builder_new();
	struct image_trees trees = { .tree = { builder_tree(b),
					       pattern_tree() } };
	int r = image_assemble(&options, NULL, &trees, NULL, ret_image, diag);

	if (r < 0)
		image_trees_release(&trees);
	return r;
}

static inline struct image *image_of(uint64_t size)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct image *image;

	if (try_image(size, 0, 0, &image, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return image;
}

/* The disk of a directory of the host. */
static inline struct image *image_of_host(int fd)
{
	const struct image_options options = {
		.src_fd = fd,
		.src_path = "/src",
		.boot.no_grub = true,
	};
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct image *image;

	if (image_build(&options, &image, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return image;
}

/* Where byte `offset` of a file stands on the disk. */
static inline uint64_t find_on_disk(const struct image *image,
				    unsigned partition, tree_id node,
				    uint64_t offset)
{
	struct region r;

	for (uint64_t at = 0; at < image_size(image); at = r.end) {
		image_region_at(image, at, &r);
		if (r.kind == REGION_FILE && r.partition == partition &&
		    r.node == node && r.node_offset <= offset &&
		    offset - r.node_offset < r.end - r.start)
			return r.start + (offset - r.node_offset);
	}
	fail_msg("byte %llu of node %u is nowhere", (unsigned long long)offset,
		 node);
	return 0;
}

#endif
