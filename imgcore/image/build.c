/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "image/image-internal.h"
#include "imgcore/diag.h"

/* /boot keeps room for what grub-editenv or a guest's update writes. */
#define BOOT_FREE MEBIBYTE

static const char boot_dir[] = "boot";
static const char *const labels[2] = { "boot", "system" };

DEFINE_CLEANUP(struct tree_builder, tree_builder_free)
DEFINE_CLEANUP(struct boot_grub, boot_grub_free)
DEFINE_CLEANUP(struct boot_kernels, boot_kernels_free)

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

/* A tree that brings modules of its own may have them from another GRUB. */
int image_find_grub(const struct image_options *options,
		    struct boot_grub **ret_grub, struct diag *diag)
{
	struct boot_options boot = options->boot;

	if (boot.no_grub) {
		*ret_grub = NULL;
		return 0;
	}
	boot.whole_core |= faccessat(options->src_fd, "boot/grub/i386-pc", F_OK,
				     AT_SYMLINK_NOFOLLOW) == 0;
	return boot_grub_new(ret_grub, &boot, diag);
}

/* ---- trees ---- */

/* Directories that come from us belong to whom the source belongs to. */
static int source_attr(struct build *b, struct tree_attr *attr)
{
	const struct tree_scan_options *scan = &b->options->scan;
	bool keep = scan->owner == TREE_OWNER_KEEP;
	struct stat st;

	if (fstat(b->options->src_fd, &st) < 0)
		return fail(b, -errno);
	*attr = (struct tree_attr){
		.mode = S_IFDIR | 0755,
		.uid = keep ? st.st_uid : scan->uid,
		.gid = keep ? st.st_gid : scan->gid,
		.mtime = st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
	};
	return 0;
}

/* lost+found as mke2fs makes it; GRUB's files on the first partition. */
static int make_grafts(struct build *b, unsigned i,
		       const struct tree_attr *attr,
		       struct tree_builder *grafts)
{
	struct tree_attr lost_found = *attr;
	builder_id id;
	int r;

	lost_found.mode = S_IFDIR | 0700;
	lost_found.uid = lost_found.gid = 0;
	r = tree_builder_add(grafts, 0, "lost+found", strlen("lost+found"),
			     &lost_found, &id);
	if (r < 0)
		return fail(b, r);
	tree_builder_reserve(grafts, id);
	if (i != 0)
		return 0;
	r = tree_builder_mkdirs(grafts, 0, boot_dir, attr, &id);
	if (r < 0)
		return fail(b, r);
	return b->grub ? boot_grub_graft(b->grub, grafts, attr, b->diag) : 0;
}

static int scan_partition(struct build *b, unsigned i,
			  const struct image_changed *changed,
			  struct tree **ret_tree)
{
	static const enum tree_part parts[2] = { TREE_PART_SUBDIR,
						 TREE_PART_WITHOUT };
	_cleanup_(tree_builder_freep) struct tree_builder *grafts = NULL;
	struct tree_scan_options scan = b->options->scan;
	struct tree_attr attr;
	int r = source_attr(b, &attr);

	if (r < 0)
		return r;
	r = tree_builder_new(&grafts, &attr);
	if (r < 0)
		return fail(b, r);
	r = make_grafts(b, i, &attr, grafts);
	if (r < 0)
		return r;
	scan.part = parts[i];
	scan.subdir = boot_dir;
	if (changed) {
		scan.previous = changed[i].previous;
		scan.changed = changed[i].dirs;
		scan.n_changed = changed[i].n;
	}
	return tree_scan(b->options->src_fd, b->options->src_path, &scan,
			 grafts, ret_tree, b->diag);
}

/* The menu can be written only now that the kernels are known. */
static int write_menu(struct build *b, struct tree *const trees[2])
{
	struct tree *tree = trees[0];
	tree_id node = tree_find(tree, "boot/grub/grub.cfg");
	_cleanup_(boot_kernels_freep) struct boot_kernels *kernels = NULL;
	_cleanup_free_ char *text = NULL;
	struct content *content;
	size_t len;
	int r;

	if (!b->grub || node == TREE_NONE || !tree_content(tree, node))
		return 0;
	r = boot_find(&kernels, tree, trees[1], &b->options->boot, b->diag);
	if (r < 0)
		return r;
	r = boot_menu(kernels, &b->options->boot, &text, &len, b->diag);
	if (r < 0)
		return r;
	r = content_new_bytes(&content, text, len);
	if (r < 0)
		return fail(b, r);
	return tree_set_content(tree, node, content, len);
}

int image_scan(const struct image_options *options,
	       const struct boot_grub *grub,
	       const struct image_changed changed[2], struct tree *ret_trees[2],
	       struct diag *diag)
{
	struct build b = { .options = options, .grub = grub, .diag = diag };
	struct tree *trees[2] = { NULL, NULL };
	int r = scan_partition(&b, 0, changed, &trees[0]);

	if (r == 0)
		r = scan_partition(&b, 1, changed, &trees[1]);
	if (r == 0)
		r = write_menu(&b, trees);
	for (unsigned i = 0; i < 2; i++)
		if (r < 0)
			tree_free(trees[i]);
		else
			ret_trees[i] = trees[i];
	return r;
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

static int choose_layout(struct build *b)
{
	uint64_t need[2];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t spare = i == 0 ? BOOT_FREE : b->options->free;
		const struct tree *tree = b->image->partition[i].tree;
		const struct ext2_plan *plan =
			b->previous ? b->previous->partition[i].plan : NULL;
		uint8_t seed[16];
		int r;

		make_seed(b, i, seed);
		r = ext2_demand_new(&b->demand[i], tree, seed, plan, b->diag);
		if (r < 0)
			return r;
		r = ext2_demand_size(b->demand[i], spare, &need[i], b->diag);
		if (r < 0) {
			if (b->diag && !b->diag->path)
				b->diag->path =
					strdup(layout_cause(b->options));
			return r;
		}
	}
	return layout_choose(b->options, need, &b->layout, b->diag);
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

static int make_head(struct build *b)
{
	struct boot_partition table[2];
	uint8_t signature[16];
	int r;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t start = b->layout.partition[i].start;
		uint64_t end = start + b->layout.partition[i].size;

		table[i].first_sector = start / SECTOR;
		table[i].last_sector = end / SECTOR - 1;
	}
	derive(b, 5, signature);
	r = boot_mbr(b->grub, table, b->layout.size / SECTOR,
		     get_le32(signature) | 1, &b->image->head,
		     &b->image->head_len, b->diag);
	return r < 0 ? r : pad_head(b);
}

/* From the trees on: numbers, places, table. */
static int make_disk(struct build *b)
{
	int r;

	make_digest(b);
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

int image_assemble(const struct image_options *options,
		   const struct boot_grub *grub, struct tree *const trees[2],
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
	b.image->partition[0].tree = trees[0];
	b.image->partition[1].tree = trees[1];
	r = make_disk(&b);
	if (r < 0) {
		/* They stay the caller's. */
		b.image->partition[0].tree = NULL;
		b.image->partition[1].tree = NULL;
		return r;
	}
	*ret_image = take_ptr(b.image);
	return 0;
}

int image_build(const struct image_options *options, struct image **ret_image,
		struct diag *diag)
{
	_cleanup_(boot_grub_freep) struct boot_grub *grub = NULL;
	struct tree *trees[2];
	int r = image_find_grub(options, &grub, diag);

	if (r < 0)
		return r;
	r = image_scan(options, grub, NULL, trees, diag);
	if (r < 0)
		return r;
	r = image_assemble(options, grub, trees, NULL, ret_image, diag);
	if (r < 0) {
		tree_free(trees[0]);
		tree_free(trees[1]);
	}
	return r;
}

int image_build_trees(const struct image_options *options,
		      struct tree *const trees[2], struct image **ret_image,
		      struct diag *diag)
{
	return image_assemble(options, NULL, trees, NULL, ret_image, diag);
}
