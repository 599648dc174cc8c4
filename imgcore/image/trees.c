/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image/archives.h"
#include "image/image-internal.h"
#include "image/menu.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

DEFINE_CLEANUP(struct tree_builder, tree_builder_free)

/* What the phases below hand on to each other. */
struct scan {
	const struct image_options *options;
	const struct boot_grub *grub; /* NULL: no boot loader */
	const struct image_changed *changed; /* of each part, or NULL */
	struct image_trees trees; /* those that are there */
	struct diag *diag;
};

static void scan_release(struct scan *s)
{
	image_trees_release(&s->trees);
}

static int fail(struct scan *s, int err)
{
	return diag_set(s->diag, err, s->options->src_path, NULL);
}

void image_trees_release(struct image_trees *trees)
{
	for (unsigned i = 0; i < IMAGE_PARTS; i++)
		tree_free(trees->tree[i]);
	boot_kernels_free(trees->kernels);
	*trees = (struct image_trees){ 0 };
}

/* ---- grafts ---- */

/* Directories that come from us belong to whom the source belongs to. */
static int source_attr(struct scan *s, struct tree_attr *attr)
{
	const struct tree_scan_options *scan = &s->options->scan;
	bool keep = scan->owner == TREE_OWNER_KEEP;
	struct stat st;

	if (fstat(s->options->src_fd, &st) < 0)
		return fail(s, -errno);
	*attr = (struct tree_attr){
		.mode = S_IFDIR | 0755,
		.uid = keep ? st.st_uid : scan->uid,
		.gid = keep ? st.st_gid : scan->gid,
		.mtime = st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
	};
	return 0;
}

/* As mke2fs makes it. */
static int graft_lost_found(struct scan *s, const struct tree_attr *attr,
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
		return fail(s, r);
	tree_builder_reserve(grafts, id);
	return 0;
}

static int graft_boot(struct scan *s, const struct tree_attr *attr,
		      struct tree_builder *grafts)
{
	builder_id id;
	int r = tree_builder_mkdirs(grafts, 0, PATH_BOOT, attr, &id);

	if (r < 0)
		return fail(s, r);
	return s->grub ? boot_grub_graft(s->grub, grafts, attr, s->diag) : 0;
}

static int make_grafts(struct scan *s, enum image_part part,
		       const struct tree_attr *attr,
		       struct tree_builder *grafts)
{
	int r;

	if (part == IMAGE_PART_ARCHIVES)
		return 0;
	r = graft_lost_found(s, attr, grafts);
	if (r < 0)
		return r;
	if (part == IMAGE_PART_BOOT)
		return graft_boot(s, attr, grafts);
	return archives_graft(s->trees.tree[IMAGE_PART_ARCHIVES], PATH_KERNELS,
			      attr, grafts, s->diag);
}

/* ---- trees ---- */

/* The tree of a part; the archives' is there before that of the system. */
static int scan_part(struct scan *s, enum image_part part)
{
	static const enum tree_part parts[IMAGE_PARTS] = {
		[IMAGE_PART_BOOT] = TREE_PART_SUBDIR,
		[IMAGE_PART_SYSTEM] = TREE_PART_WITHOUT,
		[IMAGE_PART_ARCHIVES] = TREE_PART_ARCHIVES,
	};
	_cleanup_(tree_builder_freep) struct tree_builder *grafts = NULL;
	struct tree_scan_options scan = s->options->scan;
	struct tree_attr attr;
	int r = source_attr(s, &attr);

	if (r < 0)
		return r;
	r = tree_builder_new(&grafts, &attr);
	if (r < 0)
		return fail(s, r);
	r = make_grafts(s, part, &attr, grafts);
	if (r < 0)
		return r;
	scan.part = parts[part];
	scan.subdir = PATH_BOOT;
	scan.archives_in = PATH_KERNELS;
	scan.is_archive = boot_is_archive;
	if (part == IMAGE_PART_ARCHIVES)
		scan.xattrs = TREE_XATTRS_NONE; /* newc has none */
	if (s->changed) {
		scan.previous = s->changed[part].previous;
		scan.changed = s->changed[part].dirs;
		scan.n_changed = s->changed[part].n;
	}
	return tree_scan(s->options->src_fd, s->options->src_path, &scan,
			 grafts, &s->trees.tree[part], s->diag);
}

/* The menu can be written only now that the kernels are known. */
static int find_kernels(struct scan *s)
{
	struct tree *boot = s->trees.tree[IMAGE_PART_BOOT];
	int r = boot_find(&s->trees.kernels, boot,
			  s->trees.tree[IMAGE_PART_SYSTEM], &s->options->boot,
			  s->diag);

	if (r == 0 && s->grub)
		r = menu_write(boot, s->trees.kernels, &s->options->boot,
			       s->diag);
	return diag_report(s->diag, r);
}

int image_scan(const struct image_options *options,
	       const struct boot_grub *grub,
	       const struct image_changed changed[IMAGE_PARTS],
	       struct image_trees *ret_trees, struct diag *diag)
{
	_cleanup_(scan_release) struct scan s = { .options = options,
						  .grub = grub,
						  .changed = changed,
						  .diag = diag };
	int r = scan_part(&s, IMAGE_PART_BOOT);

	if (r == 0 && grub)
		r = diag_report(diag,
				boot_grub_check(grub,
						s.trees.tree[IMAGE_PART_BOOT],
						diag));
	if (r == 0)
		r = scan_part(&s, IMAGE_PART_ARCHIVES);
	if (r == 0)
		r = scan_part(&s, IMAGE_PART_SYSTEM);
	if (r == 0)
		r = find_kernels(&s);
	if (r < 0)
		return r;
	*ret_trees = s.trees;
	s.trees = (struct image_trees){ 0 };
	return 0;
}
