/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "image/image-internal.h"
#include "image/kept.h"
#include "image/stale.h"
#include "imgcore/diag.h"

void image_free(struct image *image)
{
	if (!image)
		return;
	hostfiles_free(image->hostfiles);
	for (unsigned i = 0; i < 2; i++) {
		ext2_plan_free(image->partition[i].plan);
		tree_free(image->partition[i].tree);
	}
	tree_free(image->archives);
	boot_kernels_free(image->kernels);
	free(image->head);
	free(image);
}

const struct tree *image_tree(const struct image *image, enum image_part part)
{
	return part == IMAGE_PART_ARCHIVES ? image->archives
					   : image->partition[part].tree;
}

void image_set_own_dev(struct image *image, uint64_t own_dev)
{
	for (unsigned i = 0; i < 2; i++)
		tree_set_own_dev(image->partition[i].tree, own_dev);
}

const struct boot_kernels *image_kernels(const struct image *image)
{
	return image->kernels;
}

static void get_trees(const struct image *image,
		      const struct tree *ret_trees[IMAGE_PARTS])
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++)
		ret_trees[i] = image_tree(image, i);
}

int image_keep(struct image *image, const struct image *previous, size_t budget,
	       struct watch *watch, uint64_t since, struct diag *diag)
{
	const struct tree *trees[IMAGE_PARTS];
	struct kept *kept;
	int r;

	get_trees(image, trees);
	hostfiles_watch(image->hostfiles, watch, since);
	if (previous &&
	    hostfiles_share(image->hostfiles, previous->hostfiles) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	r = kept_new(&kept, trees,
		     previous ? hostfiles_kept(previous->hostfiles) : NULL,
		     hostfiles_descriptors(image->hostfiles), budget, watch,
		     diag);
	if (r == 0)
		hostfiles_keep(image->hostfiles, kept);
	return r;
}

void image_drop_cached(const struct image *image)
{
	hostfiles_drop(image->hostfiles);
}

size_t image_kept(const struct image *image)
{
	return kept_count(hostfiles_kept(image->hostfiles));
}

void image_watched(const struct image *image, image_watched_fn *found,
		   void *context)
{
	kept_watched(hostfiles_kept(image->hostfiles), found, context);
}

size_t image_take_stale(const struct image *image,
			struct image_stale ret_stale[IMAGE_STALE_MAX],
			bool *ret_more)
{
	const struct tree *trees[IMAGE_PARTS];

	get_trees(image, trees);
	return stale_take(hostfiles_stale(image->hostfiles), trees, ret_stale,
			  ret_more);
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

uint64_t image_data_size(const struct image *image)
{
	uint64_t size = image->head_len;

	for (unsigned i = 0; i < 2; i++)
		size += (uint64_t)ext2_plan_data_blocks(
				image->partition[i].plan) *
			EXT2_BLOCK;
	return size;
}

/* ---- the map ---- */

static uint64_t file_system_end(const struct partition *p)
{
	return p->start + (uint64_t)ext2_plan_blocks(p->plan) * EXT2_BLOCK;
}

static void block_region(const struct image *image, unsigned i, uint64_t offset,
			 struct image_region *r)
{
	const struct partition *p = &image->partition[i];
	static const enum image_kind kinds[] = {
		[EXT2_ZERO] = IMAGE_ZERO,
		[EXT2_RENDER] = IMAGE_RENDER,
		[EXT2_FILE] = IMAGE_FILE,
	};
	struct ext2_run run;

	ext2_run_at(p->plan, (uint32_t)((offset - p->start) / EXT2_BLOCK),
		    &run);
	*r = (struct image_region){
		.start = p->start + (uint64_t)run.start * EXT2_BLOCK,
		.kind = kinds[run.kind],
		.partition = i + 1,
		.what = run.what,
		.node = run.node,
		.node_offset = run.file_offset,
	};
	r->end = r->start + (uint64_t)run.count * EXT2_BLOCK;
}

static void zero_region(uint64_t start, uint64_t end, const char *what,
			struct image_region *r)
{
	*r = (struct image_region){
		.start = start,
		.end = end,
		.kind = IMAGE_ZERO,
		.what = what,
		.node = TREE_NONE,
	};
}

void image_region_at(const struct image *image, uint64_t offset,
		     struct image_region *ret_region)
{
	uint64_t end = image->head_len;

	assert(offset < image->size);
	if (offset < end) {
		*ret_region = (struct image_region){
			.end = end,
			.kind = IMAGE_BYTES,
			.what = "boot sector, partition table and core image",
			.node = TREE_NONE,
		};
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct partition *p = &image->partition[i];

		if (offset < p->start) {
			zero_region(end, p->start, "unpartitioned", ret_region);
			return;
		}
		end = file_system_end(p);
		if (offset < end) {
			block_region(image, i, offset, ret_region);
			return;
		}
		if (offset < p->start + p->size) {
			zero_region(end, p->start + p->size,
				    "behind the file system", ret_region);
			ret_region->partition = i + 1;
			return;
		}
		end = p->start + p->size;
	}
	zero_region(end, image->size, "unpartitioned", ret_region);
}

uint64_t image_next_data(const struct image *image, uint64_t offset)
{
	while (offset < image->size) {
		struct image_region r;

		image_region_at(image, offset, &r);
		if (r.kind != IMAGE_ZERO)
			return offset;
		offset = r.end;
	}
	return image->size;
}

uint64_t image_next_hole(const struct image *image, uint64_t offset)
{
	while (offset < image->size) {
		struct image_region r;

		image_region_at(image, offset, &r);
		if (r.kind == IMAGE_ZERO)
			return offset;
		offset = r.end;
	}
	return image->size;
}

/* ---- reading ---- */

/* One request: what is kept from one of its regions to the next. */
struct request {
	struct content_reader reader; /* of its host files */
	const struct image *image;
	struct tree_dir dir; /* of the last small file */
	struct diag *diag;
};

static void request_release(struct request *req)
{
	tree_dir_release(&req->dir);
}

static void read_rendered(const struct image *image,
			  const struct image_region *r, uint8_t *buf,
			  size_t len, uint64_t offset)
{
	const struct partition *p = &image->partition[r->partition - 1];

	while (len > 0) {
		uint64_t at = offset - p->start;
		uint32_t block = (uint32_t)(at / EXT2_BLOCK);
		size_t skip = at % EXT2_BLOCK;
		size_t n = min_u64(len, EXT2_BLOCK - skip);

		if (n == EXT2_BLOCK) {
			ext2_render(p->plan, block, buf);
		} else {
			uint8_t whole[EXT2_BLOCK];

			ext2_render(p->plan, block, whole);
			memcpy(buf, whole + skip, n);
		}
		buf += n;
		offset += n;
		len -= n;
	}
}

static int read_host(const struct content_reader *reader,
		     const struct tree *tree, tree_id file, void *buf,
		     size_t len, uint64_t offset)
{
	struct request *req = (struct request *)reader;
	struct hostfiles *files = req->image->hostfiles;
	struct tree_info info;

	tree_get(tree, file, &info);
	if (len == info.size)
		return hostfiles_read_whole(files, tree, file, &req->dir, buf,
					    len, req->diag);
	return hostfiles_read(files, tree, file, buf, len, offset, req->diag);
}

static int read_content(struct request *req, const struct tree *tree,
			tree_id node, uint8_t *buf, size_t len, uint64_t offset)
{
	struct content *content = tree_content(tree, node);
	int r;

	if (!content)
		return read_host(&req->reader, tree, node, buf, len, offset);
	r = content->pread(content, &req->reader, buf, len, offset);
	/* What a host file has said stays. */
	if (r < 0 && req->diag && !req->diag->reason)
		diag_set(req->diag, r, NULL, NULL);
	return r;
}

/* A file's bytes, and zeroes behind its end in its last block. */
static int read_file(struct request *req, const struct image_region *r,
		     uint8_t *buf, size_t len, uint64_t offset)
{
	const struct partition *p = &req->image->partition[r->partition - 1];
	uint64_t at = r->node_offset + (offset - r->start);
	struct tree_info info;
	size_t n;

	tree_get(p->tree, r->node, &info);
	n = at < info.size ? min_u64(len, info.size - at) : 0;
	memset(buf + n, 0, len - n);
	if (n == 0)
		return 0;
	return read_content(req, p->tree, r->node, buf, n, at);
}

static int read_region(struct request *req, const struct image_region *r,
		       uint8_t *buf, size_t len, uint64_t offset)
{
	switch (r->kind) {
	case IMAGE_ZERO:
		memset(buf, 0, len);
		return 0;
	case IMAGE_BYTES:
		memcpy(buf, req->image->head + offset, len);
		return 0;
	case IMAGE_RENDER:
		read_rendered(req->image, r, buf, len, offset);
		return 0;
	case IMAGE_FILE:
		return read_file(req, r, buf, len, offset);
	}
	return -EIO;
}

int image_pread(const struct image *image, void *buf, size_t len,
		uint64_t offset, struct diag *diag)
{
	_cleanup_(request_release) struct request req = {
		.reader = { read_host },
		.image = image,
		.dir = TREE_DIR_INIT,
		.diag = diag,
	};
	uint8_t *p = buf;

	if (offset > image->size || len > image->size - offset)
		return diag_set(diag, -EINVAL, NULL, "behind the disk's end");
	while (len > 0) {
		struct image_region region;
		size_t n;
		int r;

		image_region_at(image, offset, &region);
		n = min_u64(len, region.end - offset);
		r = read_region(&req, &region, p, n, offset);
		if (r < 0)
			return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}
