/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "image/image-internal.h"
#include "image/pinned_files.h"
#include "image/stale.h"
#include "imgcore/diag.h"

void image_free(struct image *image)
{
	if (!image)
		return;
	descriptor_cache_free(image->cache);
	regions_release(&image->regions);
	for (size_t i = 0; i < image->n_partitions; i++)
		volume_free(image->partitions[i].volume);
	free(image->partitions);
	table_release(&image->table);
	image_trees_release(&image->trees);
	free(image);
}

const struct tree *image_tree(const struct image *image, enum image_part part)
{
	return image->trees.tree[part];
}

void image_set_own_dev(struct image *image, uint64_t own_dev)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++)
		if (image->trees.tree[i])
			tree_set_own_dev(image->trees.tree[i], own_dev);
}

const struct boot_kernels *image_kernels(const struct image *image)
{
	return image->trees.kernels;
}

int image_pin(struct image *image, const struct image *previous, size_t budget,
	      struct watch *watch, uint64_t since, struct diag *diag)
{
	struct pinned_files *pinned;
	int r;

	descriptor_cache_watch(image->cache, watch, since);
	if (previous &&
	    descriptor_cache_share(image->cache, previous->cache) < 0)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	r = pinned_files_new(
		&pinned, (const struct tree *const *)image->trees.tree,
		previous ? descriptor_cache_pinned(previous->cache) : NULL,
		descriptor_cache_descriptors(image->cache), budget, watch,
		diag);
	if (r == 0)
		descriptor_cache_pin(image->cache, pinned);
	return r;
}

void image_drop_cached(const struct image *image)
{
	descriptor_cache_drop(image->cache);
}

size_t image_pinned(const struct image *image)
{
	return pinned_files_count(descriptor_cache_pinned(image->cache));
}

void image_watched(const struct image *image, image_watched_fn *found,
		   void *context)
{
	pinned_files_watched(descriptor_cache_pinned(image->cache), found,
			     context);
}

size_t image_take_stale(const struct image *image,
			struct image_stale ret_stale[IMAGE_STALE_MAX],
			bool *ret_more)
{
	return stale_take(descriptor_cache_stale(image->cache),
			  (const struct tree *const *)image->trees.tree,
			  ret_stale, ret_more);
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

uint64_t image_data_size(const struct image *image)
{
	uint64_t size = image->table.head_len + image->table.tail_len;

	for (size_t i = 0; i < image->n_partitions; i++) {
		const struct volume *volume = image->partitions[i].volume;

		size += volume->ops->data_size(volume);
	}
	return size;
}

/* ---- the map ---- */

void image_region_at(const struct image *image, uint64_t offset,
		     struct region *ret_region)
{
	assert(offset < image->size);
	regions_at(&image->regions, offset, ret_region);
}

uint64_t image_next_data(const struct image *image, uint64_t offset)
{
	while (offset < image->size) {
		struct region r;

		image_region_at(image, offset, &r);
		if (r.kind != REGION_ZERO)
			return offset;
		offset = r.end;
	}
	return image->size;
}

uint64_t image_next_hole(const struct image *image, uint64_t offset)
{
	while (offset < image->size) {
		struct region r;

		image_region_at(image, offset, &r);
		if (r.kind == REGION_ZERO)
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

/* from: where in the region. */
static void read_rendered(const struct volume *volume, const struct region *r,
			  uint8_t *buf, size_t len, uint64_t from)
{
	uint32_t size = volume->block_size;

	while (len > 0) {
		uint32_t skip = (uint32_t)(from % size);
		size_t n = min_u64(len, size - skip);

		if (n == size) {
			volume->ops->render(volume, r, from / size, buf);
		} else {
			uint8_t block[VOLUME_BLOCK_MAX];

			volume->ops->render(volume, r, from / size, block);
			memcpy(buf, block + skip, n);
		}
		buf += n;
		from += n;
		len -= n;
	}
}

static int read_host(const struct content_reader *reader,
		     const struct tree *tree, tree_id file, void *buf,
		     size_t len, uint64_t offset)
{
	struct request *req = (struct request *)reader;
	struct tree_info info;

	tree_get(tree, file, &info);
	return descriptor_cache_read(req->image->cache, tree, file,
				     len == info.size ? &req->dir : NULL, buf,
				     len, offset, req->diag);
}

/* A file's bytes, and zeroes after its end in its last block. */
static int read_file(struct request *req, const struct region *r, uint8_t *buf,
		     size_t len, uint64_t from)
{
	const struct tree *tree = image_tree(req->image, r->part);
	uint64_t at = r->node_offset + from;
	struct tree_info info;
	size_t n;

	tree_get(tree, r->node, &info);
	n = at < info.size ? min_u64(len, info.size - at) : 0;
	memset(buf + n, 0, len - n);
	return n == 0 ? 0
		      : tree_read_through(tree, r->node, &req->reader, buf, n,
					  at, req->diag);
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
	size_t n;

	if (offset > image->size || len > image->size - offset)
		return diag_set(diag, -EINVAL, NULL, "behind the disk's end");
	for (; len > 0; p += n, offset += n, len -= n) {
		struct region region;
		const struct span *span = regions_at(&image->regions, offset,
						     &region);
		uint64_t from = offset - region.start;
		int r = 0;

		n = min_u64(len, region.end - offset);
		switch (region.kind) {
		case REGION_ZERO:
			memset(p, 0, n);
			break;
		case REGION_BYTES:
			memcpy(p, span->bytes + from, n);
			break;
		case REGION_RENDER:
			read_rendered(span->volume, &region, p, n, from);
			break;
		case REGION_FILE:
			r = read_file(&req, &region, p, n, from);
			break;
		}
		if (r < 0)
			return r;
	}
	return 0;
}
