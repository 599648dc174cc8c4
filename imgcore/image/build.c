/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/le.h"
#include "base/math.h"
#include "image/image-internal.h"
#include "image/menu.h"
#include "imgcore/diag.h"

/* /boot keeps room for what grub-editenv or a guest's update writes. */
#define BOOT_FREE MEBIBYTE

static const char *const labels[2] = { "boot", "system" };

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)

/* What the phases below hand on to each other. */
struct build {
	const struct image_options *options;
	const struct image *previous; /* or NULL */
	struct image *image;
	const struct boot_grub *grub; /* NULL: no boot loader */
	struct ext2_demand *demand[2];
	struct layout layout;
	uint8_t tree_digest[2][16];
	uint8_t digest[16]; /* of content and options */
	uint32_t signature; /* of the disk; in the MBR, and in PARTUUIDs */
	struct diag *diag;
};

static void build_release(struct build *b)
{
	image_free(b->image);
	ext2_demand_free(b->demand[0]);
	ext2_demand_free(b->demand[1]);
}

static int fail(struct build *b, int err)
{
	return diag_set(b->diag, err, b->options->src_path, NULL);
}

/*
 * The modules that a tree contains, or links to, may be of another GRUB: 1, 0
 * or a negative errno. What may not be looked into is none.
 */
static int brings_modules(int src_fd)
{
	static const char *const ways[] = { "boot", "boot/grub" };
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		r = io_stat_at(src_fd, ways[i], AT_SYMLINK_NOFOLLOW, &st);
		if (r <= 0 || !S_ISDIR(st.st_mode))
			return r == -EACCES ? 0 : r;
	}
	r = io_stat_at(src_fd, "boot/grub/i386-pc", AT_SYMLINK_NOFOLLOW, &st);
	return r == -EACCES ? 0 : r;
}

int image_find_grub(const struct image_options *options,
		    struct boot_grub **ret_grub, struct diag *diag)
{
	struct boot_options boot = options->boot;
	int r;

	if (boot.no_grub) {
		*ret_grub = NULL;
		return 0;
	}
	r = brings_modules(options->src_fd);
	if (r < 0)
		return diag_set(diag, r, options->src_path,
				"boot/grub/i386-pc cannot be looked for: %s",
				strerror(-r));
	boot.whole_core |= r > 0;
	return boot_grub_new(ret_grub, &boot, diag);
}

/* ---- places ---- */

/*
 * The same tree with the same options gives the same names to everything. With
 * a UUID that was asked for, they stay when the tree changes.
 */
static void make_digest(struct build *b)
{
	const struct image_options *o = b->options;
	XXH128_canonical_t canonical;
	uint8_t record[56];

	if (o->uuid) {
		memcpy(b->digest, o->uuid, sizeof(b->digest));
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		tree_digest(b->image->partition[i].tree, b->tree_digest[i]);
	memcpy(record, b->tree_digest, sizeof(b->tree_digest));
	put_le64(record + 32, o->size);
	put_le64(record + 40, o->boot_size);
	put_le64(record + 48, o->free);
	XXH128_canonicalFromHash(&canonical,
				 XXH3_128bits(record, sizeof(record)));
	memcpy(b->digest, canonical.digest, sizeof(b->digest));
}

/* 16 bytes of their own for each purpose. */
static void derive(const struct build *b, uint64_t purpose, uint8_t ret[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(
		&canonical,
		XXH3_128bits_withSeed(b->digest, sizeof(b->digest), purpose));
	memcpy(ret, canonical.digest, 16);
}

/* RFC 9562, version 8: made from what the vendor likes. */
static void derive_uuid(const struct build *b, uint64_t purpose,
			uint8_t ret[16])
{
	derive(b, purpose, ret);
	ret[6] = (ret[6] & 0x0f) | 0x80;
	ret[8] = (ret[8] & 0x3f) | 0x80;
}

/* 0 would be none. */
static void make_signature(struct build *b)
{
	uint8_t signature[16];

	derive(b, 5, signature);
	b->signature = get_le32(signature) | 1;
}

static void hash_name(void *context, tree_id id, const struct tree_info *info)
{
	XXH3_128bits_update(context, info->name, info->name_len);
	XXH3_128bits_update(context, "", 1);
}

/*
 * Of the directories' hash. It comes of the names in the root alone: when a
 * file changes somewhere below, the indexes of all other directories stay what
 * they are. Sizes that were asked for have no part in it.
 */
static void make_seed(const struct build *b, unsigned i, uint8_t ret[16])
{
	const struct tree *tree = b->image->partition[i].tree;
	XXH128_canonical_t canonical;
	struct tree_info root;
	XXH3_state_t state;

	if (b->options->uuid) {
		derive_uuid(b, 3 + i, ret);
		return;
	}
	tree_get(tree, TREE_ROOT, &root);
	XXH3_128bits_reset(&state);
	tree_walk(tree, root.first_child, root.first_child + root.n_children,
		  hash_name, &state);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(ret, canonical.digest, sizeof(canonical.digest));
}

/* The size that partition i must have at least. */
static int measure_partition(struct build *b, unsigned i, uint64_t *ret_need)
{
	uint64_t spare = i == 0 ? BOOT_FREE : b->options->free;
	const struct tree *tree = b->image->partition[i].tree;
	const struct ext2_plan *plan = b->previous
					       ? b->previous->partition[i].plan
					       : NULL;
	uint8_t seed[16];
	int r;

	make_seed(b, i, seed);
	r = ext2_demand_new(&b->demand[i], tree, seed, plan, b->diag);
	if (r < 0)
		return r;
	r = ext2_demand_size(b->demand[i], spare, ret_need, b->diag);
	if (r < 0 && b->diag && !b->diag->path)
		b->diag->path = strdup(layout_cause(b->options));
	return r;
}

static int choose_layout(struct build *b)
{
	uint64_t need[2] = { 0 };
	int r;

	for (unsigned i = 0; i < 2; i++) {
		r = diag_tell(b->diag, measure_partition(b, i, &need[i]));
		if (r < 0)
			return r;
	}
	r = layout_choose(b->options, need, &b->layout, b->diag);
	/* What was complained of is in none of these numbers. */
	return r == 0 && b->diag ? b->diag->told : r;
}

static int make_plan(struct build *b, unsigned i)
{
	struct partition *p = &b->image->partition[i];
	uint8_t uuid[16];
	struct ext2_options options = {
		.size = b->layout.partition[i].size,
		.free = i == 0 ? 0 : b->options->free,
		.uuid = uuid,
		.label = labels[i],
	};
	int r;

	derive_uuid(b, 1 + i, uuid);
	if (i == 1 && b->options->uuid)
		memcpy(uuid, b->options->uuid, sizeof(uuid));
	p->start = b->layout.partition[i].start;
	p->size = b->layout.partition[i].size;
	r = ext2_plan_new(&p->plan, b->demand[i], &options, b->diag);
	if (r == 0)
		b->demand[i] = NULL;
	return r;
}

/* Holes begin and end with whole blocks: readers by blocks rely on that. */
static int pad_head(struct build *b)
{
	struct image *image = b->image;
	size_t len = round_up(image->head_len, EXT2_BLOCK);
	uint8_t *head = realloc(image->head, len);

	if (!head)
		return fail(b, -ENOMEM);
	memset(head + image->head_len, 0, len - image->head_len);
	image->head = head;
	image->head_len = len;
	return 0;
}

/* Sector 0 of the previous disk, if its partitions are where ours are. */
static const uint8_t *same_table(const struct build *b)
{
	const struct image *previous = b->previous;

	if (!previous || previous->size != b->layout.size)
		return NULL;
	for (unsigned i = 0; i < 2; i++)
		if (previous->partition[i].start !=
			    b->layout.partition[i].start ||
		    previous->partition[i].size != b->layout.partition[i].size)
			return NULL;
	return previous->head;
}

static int make_head(struct build *b)
{
	struct boot_partition table[2];
	int r;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t start = b->layout.partition[i].start;
		uint64_t end = start + b->layout.partition[i].size;

		table[i].first_sector = start / SECTOR;
		table[i].last_sector = end / SECTOR - 1;
	}
	r = boot_mbr(b->grub, table, b->layout.size / SECTOR, b->signature,
		     same_table(b), &b->image->head, &b->image->head_len,
		     b->diag);
	return r < 0 ? r : pad_head(b);
}

/* From the trees on: numbers, places, table. */
static int make_disk(struct build *b)
{
	int r;

	make_digest(b);
	make_signature(b);
	r = b->grub ? menu_sign(b->image->partition[0].tree, b->signature,
				b->diag)
		    : 0;
	if (r == 0)
		r = choose_layout(b);
	if (r < 0)
		return r;
	b->image->size = b->layout.size;
	for (unsigned i = 0; i < 2; i++) {
		r = make_plan(b, i);
		if (r < 0)
			return r;
	}
	return make_head(b);
}

static void trees_to_image(struct image_trees *trees, struct image *image)
{
	image->partition[0].tree = take_ptr(trees->tree[IMAGE_PART_BOOT]);
	image->partition[1].tree = take_ptr(trees->tree[IMAGE_PART_SYSTEM]);
	image->archives = take_ptr(trees->tree[IMAGE_PART_ARCHIVES]);
	image->kernels = take_ptr(trees->kernels);
}

/* They stay the caller's. */
static void trees_from_image(struct image_trees *trees, struct image *image)
{
	trees->tree[IMAGE_PART_BOOT] = take_ptr(image->partition[0].tree);
	trees->tree[IMAGE_PART_SYSTEM] = take_ptr(image->partition[1].tree);
	trees->tree[IMAGE_PART_ARCHIVES] = take_ptr(image->archives);
	trees->kernels = take_ptr(image->kernels);
}

int image_assemble(const struct image_options *options,
		   const struct boot_grub *grub, struct image_trees *trees,
		   const struct image *previous, struct image **ret_image,
		   struct diag *diag)
{
	_cleanup_(build_release) struct build b = { .options = options,
						    .previous = previous,
						    .grub = grub,
						    .diag = diag };
	int r;

	b.image = calloc(1, sizeof(*b.image));
	if (!b.image ||
	    hostfiles_new(&b.image->hostfiles, options->serve_stale) < 0)
		return fail(&b, -ENOMEM);
	trees_to_image(trees, b.image);
	r = make_disk(&b);
	if (r < 0) {
		trees_from_image(trees, b.image);
		return r;
	}
	*ret_image = take_ptr(b.image);
	return 0;
}

int image_build(const struct image_options *options, struct image **ret_image,
		struct diag *diag)
{
	_cleanup_(image_trees_release) struct image_trees trees = { 0 };
	_cleanup_(boot_grub_freep) struct boot_grub *grub = NULL;
	int r = image_find_grub(options, &grub, diag);

	if (r == 0)
		r = image_scan(options, grub, NULL, &trees, diag);
	if (r < 0)
		return r;
	return image_assemble(options, grub, &trees, NULL, ret_image, diag);
}

int image_build_trees(const struct image_options *options,
		      struct tree *const trees[2], struct image **ret_image,
		      struct diag *diag)
{
	struct image_trees both = { .tree = { trees[0], trees[1] } };

	return image_assemble(options, NULL, &both, NULL, ret_image, diag);
}
