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
#include "base/math.h"
#include "image/identity.h"
#include "image/image-internal.h"
#include "image/layout.h"
#include "image/menu.h"
#include "imgcore/diag.h"
#include "imgcore/ext2.h"
#include "imgcore/paths.h"

/* /boot keeps room for what grub-editenv or a guest's update writes. */
#define BOOT_FREE MEBIBYTE
#define SIGNATURE 5 /* a purpose, as those below */

/* The partitions of a disk, in their order. */
static const struct row {
	enum image_part part;
	enum partition_type type;
	bool active;
	const char *label;
	const char *holds; /* for messages */
	uint64_t usual; /* size */
	/* What its numbers are derived for. */
	uint64_t uuid;
	uint64_t seed;
} rows[] = {
	{ IMAGE_PART_BOOT, PARTITION_LINUX, true, "boot", "/boot",
	  LAYOUT_BOOT_SIZE, 1, 3 },
	{ IMAGE_PART_SYSTEM, PARTITION_LINUX, false, "system", "the tree",
	  LAYOUT_SYSTEM_SIZE, 2, 4 },
};
#define PARTITIONS ARRAY_SIZE(rows)

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)

/* What the phases below hand on to each other. */
struct build {
	const struct image_options *options;
	const struct image *previous; /* or NULL */
	struct image *image;
	const struct boot_grub *grub; /* NULL: no boot loader */
	struct ext2_contents *contents[PARTITIONS];
	struct identity identity;
	uint32_t signature; /* of the disk; in the MBR, and in PARTUUIDs */
	struct diag *diag;
};

static void build_release(struct build *b)
{
	image_free(b->image);
	for (size_t i = 0; i < PARTITIONS; i++)
		ext2_contents_free(b->contents[i]);
}

/*
 * The modules that a tree contains, or links to, may be of another GRUB: 1, 0
 * or a negative errno. What may not be looked into is none.
 */
static int brings_modules(int src_fd, const struct boot_target *target)
{
	static const char *const ways[] = { PATH_BOOT, PATH_GRUB };
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		r = io_stat_at(src_fd, ways[i], AT_SYMLINK_NOFOLLOW, &st);
		if (r <= 0 || !S_ISDIR(st.st_mode))
			return r == -EACCES ? 0 : r;
	}
	r = io_stat_at(src_fd, target->modules_dir, AT_SYMLINK_NOFOLLOW, &st);
	return r == -EACCES ? 0 : r;
}

int image_find_grub(const struct image_options *options,
		    struct boot_grub **ret_grub, struct diag *diag)
{
	struct boot_options boot = options->boot;
	const struct boot_target *target = &boot_targets[boot.target];
	int r;

	if (boot.no_grub) {
		*ret_grub = NULL;
		return 0;
	}
	r = brings_modules(options->src_fd, target);
	if (r < 0)
		return diag_set(diag, r, options->src_path,
				"%s cannot be looked for: %s",
				target->modules_dir, strerror(-r));
	boot.whole_core |= r > 0;
	return boot_grub_new(ret_grub, &boot, diag);
}

/* ---- a disk of trees ---- */

static const struct tree *tree_of(const struct build *b, size_t i)
{
	return b->image->trees.tree[rows[i].part];
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
static void make_seed(const struct build *b, size_t i, uint8_t ret[16])
{
	const struct tree *tree = tree_of(b, i);
	XXH128_canonical_t canonical;
	struct tree_info root;
	XXH3_state_t state;

	if (b->options->uuid) {
		identity_uuid(&b->identity, rows[i].seed, ret);
		return;
	}
	tree_get(tree, TREE_ROOT, &root);
	XXH3_128bits_reset(&state);
	tree_walk(tree, root.first_child, root.first_child + root.n_children,
		  hash_name, &state);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(ret, canonical.digest, sizeof(canonical.digest));
}

/* The option or path by which a disk is too large. */
static const char *size_cause(const struct image_options *options)
{
	if (options->size)
		return "--size";
	if (options->boot_size > LAYOUT_BOOT_SIZE)
		return "--boot-size";
	if (options->free > LAYOUT_SYSTEM_SIZE)
		return "--free";
	return options->src_path;
}

/* The size that partition i must have at least. */
static int measure(struct build *b, size_t i, uint64_t *ret_need)
{
	uint64_t spare = rows[i].part == IMAGE_PART_BOOT ? BOOT_FREE
							 : b->options->free;
	uint8_t seed[16];
	int r;

	make_seed(b, i, seed);
	r = ext2_contents_new(&b->contents[i], tree_of(b, i), seed,
			      b->previous ? b->previous->partitions[i].volume
					  : NULL,
			      b->diag);
	if (r < 0)
		return r;
	r = ext2_contents_size(b->contents[i], spare, ret_need, b->diag);
	if (r < 0 && b->diag && !b->diag->path)
		b->diag->path = strdup(size_cause(b->options));
	return r;
}

/* Where the partitions are, and what each needs. */
static int place_partitions(struct build *b)
{
	struct layout_entry entries[PARTITIONS] = { 0 };
	struct image *image = b->image;
	int r;

	for (size_t i = 0; i < PARTITIONS; i++) {
		entries[i].usual = rows[i].usual;
		entries[i].holds = rows[i].holds;
		if (rows[i].part == IMAGE_PART_BOOT) {
			entries[i].asked = b->options->boot_size;
			entries[i].option = "--boot-size";
		}
		r = diag_report(b->diag, measure(b, i, &entries[i].need));
		if (r < 0)
			return r;
	}
	r = layout_choose(entries, PARTITIONS, b->options->size,
			  size_cause(b->options), &image->size, b->diag);
	/* What was complained of is in none of these numbers. */
	if (r == 0 && b->diag)
		r = b->diag->reported;
	for (size_t i = 0; i < PARTITIONS && r == 0; i++)
		image->partitions[image->n_partitions++] = (struct partition){
			.start = entries[i].start,
			.size = entries[i].size,
			.type = rows[i].type,
			.active = rows[i].active,
			.name = rows[i].label,
			.part = rows[i].part,
		};
	return r;
}

static int make_volume(struct build *b, size_t i)
{
	struct partition *p = &b->image->partitions[i];
	bool system = p->part == IMAGE_PART_SYSTEM;
	uint8_t uuid[16];
	struct ext2_options options = {
		.size = p->size,
		.free = system ? b->options->free : 0,
		.uuid = uuid,
		.label = p->name,
	};
	int r;

	identity_uuid(&b->identity, rows[i].uuid, uuid);
	if (system && b->options->uuid)
		memcpy(uuid, b->options->uuid, sizeof(uuid));
	r = ext2_volume_new(&p->volume, b->contents[i], &options, b->diag);
	if (r == 0)
		b->contents[i] = NULL;
	return r;
}

/* The previous disk's table, if its partitions are where ours are. */
static const struct table *same_table(const struct build *b)
{
	const struct image *previous = b->previous;

	if (!previous || previous->size != b->image->size)
		return NULL;
	for (size_t i = 0; i < PARTITIONS; i++)
		if (previous->partitions[i].start !=
			    b->image->partitions[i].start ||
		    previous->partitions[i].size !=
			    b->image->partitions[i].size)
			return NULL;
	return &previous->table;
}

/* From the trees on: numbers, places, volumes, table. */
static int make_disk(struct build *b)
{
	const struct tree *trees[PARTITIONS];
	struct image *image = b->image;
	int r = 0;

	for (size_t i = 0; i < PARTITIONS; i++)
		trees[i] = tree_of(b, i);
	identity_init(&b->identity, b->options, trees, PARTITIONS);
	b->signature = identity_signature(&b->identity, SIGNATURE);
	if (b->grub)
		r = menu_sign(image->trees.tree[IMAGE_PART_BOOT],
			      image->trees.kernels, b->signature, b->diag);
	if (r == 0)
		r = place_partitions(b);
	for (size_t i = 0; i < PARTITIONS && r == 0; i++)
		r = make_volume(b, i);
	if (r == 0)
		r = table_init(&image->table, image->partitions, PARTITIONS,
			       image->size, b->signature, b->grub,
			       same_table(b), b->diag);
	if (r == 0 &&
	    regions_init(&image->regions, &image->table, image->partitions,
			 PARTITIONS, image->size) < 0)
		r = diag_set(b->diag, -ENOMEM, b->options->src_path, NULL);
	return r;
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
	if (b.image)
		b.image->partitions = calloc(PARTITIONS,
					     sizeof(*b.image->partitions));
	if (!b.image || !b.image->partitions ||
	    descriptor_cache_new(&b.image->cache, options->serve_stale) < 0)
		return diag_set(diag, -ENOMEM, options->src_path, NULL);
	b.image->trees = *trees;
	*trees = (struct image_trees){ 0 };
	r = make_disk(&b);
	if (r < 0) {
		/* They stay the caller's. */
		*trees = b.image->trees;
		b.image->trees = (struct image_trees){ 0 };
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
