/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/units.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "imgcore/owners.h"
#include "imgcore/paths.h"

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)
DEFINE_CLEANUP(struct image, image_free)

struct examination {
	struct report *report;
	const struct image_options *options;
	struct diag_sink sink;
	struct diag diag; /* what nobody was told of yet */
	struct boot_grub *grub;
	struct image_trees trees;
	bool no_memory;
};

static void examination_release(struct examination *x)
{
	boot_grub_freep(&x->grub);
	image_trees_release(&x->trees);
	diag_clear(&x->diag);
}

static void note_finding(void *context, const struct diag *diag, int err)
{
	struct examination *x = context;
	struct report *report = x->report;

	if (findings_add(err ? &report->problems : &report->notes, diag, err) <
	    0)
		x->no_memory = true;
}

/* Tells of what a step ended with; true if it came through. */
static bool came_through(struct examination *x, int r)
{
	if (diag_report(&x->diag, r) == -ENOMEM)
		x->no_memory = true;
	return r == 0;
}

/* ---- the trees ---- */

static bool scan(struct examination *x)
{
	struct owners owners;
	bool hidden = false;

	if (!came_through(x, image_scan(x->options, x->grub, NULL, &x->trees,
					&x->diag)))
		return false;
	owners_read(&owners);
	for (unsigned i = 0; i < IMAGE_PARTS && !hidden; i++)
		hidden = owners_are_hidden(&owners, &x->options->scan,
					   x->trees.tree[i]);
	if (hidden)
		diag_notice(&x->diag, x->options->src_path, OWNERS_HIDDEN);
	return true;
}

/* ---- the menu ---- */

/* A path of partition 1 that is the tree's own, not ours. */
static bool is_own(const struct tree *tree, const char *path)
{
	tree_id node = tree_find(tree, path);

	return node != TREE_NONE && !tree_content(tree, node);
}

static enum menu find_menu(const struct examination *x)
{
	const struct tree *tree = x->trees.tree[IMAGE_PART_BOOT];

	if (x->options->boot.no_grub)
		return MENU_NONE;
	if (is_own(tree, PATH_MENU))
		return MENU_OWN;
	/* Not even ours is there: something of the tree's is in its way. */
	if (x->grub && tree_find(tree, PATH_MENU) == TREE_NONE)
		return MENU_NONE;
	return MENU_GENERATED;
}

/* An option that is wrong shall not hide what boots with another one. */
static void find_kernels(struct examination *x)
{
	struct boot_options without = x->options->boot;
	struct tree *const *trees = x->trees.tree;

	x->report->kernels = take_ptr(x->trees.kernels);
	if (x->report->kernels)
		return;
	without.append = NULL;
	if (boot_find(&x->report->kernels, trees[IMAGE_PART_BOOT],
		      trees[IMAGE_PART_SYSTEM], &without, NULL) == -ENOMEM)
		x->no_memory = true;
}

/* Once more, since the scan may not have come so far. */
static void check_menu(struct examination *x)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	x->report->menu = find_menu(x);
	find_kernels(x);
	if (x->report->kernels && x->report->menu == MENU_GENERATED)
		(void)came_through(x, boot_menu(x->report->kernels,
						&x->options->boot, &text, &len,
						&x->diag));
}

/* ---- the disk ---- */

static void check_disk(struct examination *x)
{
	_cleanup_(image_freep) struct image *image = NULL;
	struct report *report = x->report;
	uint8_t sector[SECTOR];
	int r = image_assemble(x->options, x->grub, &x->trees, NULL, &image,
			       &x->diag);

	/* The same error once more, where it was told before. */
	if (r < 0 && (r == -ENOMEM || x->diag.reason || !x->diag.reported))
		(void)came_through(x, r);
	if (r < 0)
		return;
	report->size = image_size(image);
	/* What the table says: signature, and each entry's length. */
	if (image_pread(image, sector, sizeof(sector), 0, NULL) < 0)
		return;
	report->signature = get_le32(sector + 0x1b8);
	for (unsigned i = 0; i < 2; i++)
		report->partition_size[i] =
			(uint64_t)SECTOR *
			get_le32(sector + 0x1be + 16 * i + 12);
}

/* ---- the whole ---- */

size_t report_entries(const struct report *report,
		      const struct boot_entry **ret_entries)
{
	return report->kernels ? boot_entries(report->kernels, ret_entries) : 0;
}

static enum verdict judge(const struct report *report)
{
	const struct boot_entry *entries;

	if (report->problems.count > 0)
		return VERDICT_REFUSED;
	if (report->menu == MENU_OWN)
		return VERDICT_BOOTS;
	if (report->menu == MENU_NONE || report_entries(report, &entries) == 0)
		return VERDICT_NOTHING_BOOTS;
	return VERDICT_BOOTS;
}

int report_make(struct report *ret_report, const struct image_options *options,
		struct diag *diag)
{
	struct report report = { .source = options->src_path };
	_cleanup_(examination_release) struct examination x = {
		.report = &report,
		.options = options,
	};

	x.sink = (struct diag_sink){ note_finding, &x };
	x.diag.sink = &x.sink;
	(void)came_through(&x, image_find_grub(options, &x.grub, &x.diag));
	if (scan(&x)) {
		check_menu(&x);
		check_disk(&x);
	}
	if (x.no_memory) {
		report_clear(&report);
		return diag_set(diag, -ENOMEM, options->src_path, NULL);
	}
	findings_unite(&report.problems);
	findings_unite(&report.notes);
	report.verdict = judge(&report);
	*ret_report = report;
	return 0;
}

void report_clear(struct report *report)
{
	findings_clear(&report->problems);
	findings_clear(&report->notes);
	boot_kernels_free(report->kernels);
	report->kernels = NULL;
}

char *report_arguments(const struct report *report,
		       const struct boot_entry *entry)
{
	char *arguments = strdup(entry->arguments);

	if (arguments && report->verdict != VERDICT_REFUSED)
		boot_entry_sign(entry, arguments, report->signature);
	return arguments;
}
