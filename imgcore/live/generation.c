/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/generation.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/* Limits of the texts that info/ shows. */
#define MENU_MAX  (1u << 20)
#define TABLE_MAX (256u << 10)

int generation_new(struct generation **ret_generation, struct image *image,
		   uint64_t number, const struct timespec *time, char *reason)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	atomic_init(&g->refs, 1);
	g->image = image;
	g->number = number;
	g->time = *time;
	g->reason = reason;
	*ret_generation = g;
	return 0;
}

struct generation *generation_ref(struct generation *generation)
{
	unsigned refs = atomic_fetch_add_explicit(&generation->refs, 1,
						  memory_order_relaxed);

	assert(refs > 0);
	return generation;
}

void generation_unref(struct generation *generation)
{
	if (!generation || atomic_fetch_sub_explicit(&generation->refs, 1,
						     memory_order_acq_rel) != 1)
		return;
	image_free(generation->image);
	free(generation->reason);
	free(generation);
}

struct image *generation_image(struct generation *generation)
{
	return generation->image;
}

uint64_t generation_number(const struct generation *generation)
{
	return generation->number;
}

int64_t generation_time(const struct generation *generation)
{
	return time_ns(generation->time.tv_sec, generation->time.tv_nsec);
}

const char *generation_reason(const struct generation *generation)
{
	return generation->reason;
}

int generation_menu(const struct generation *generation, char **ret_text)
{
	const struct tree *tree = image_tree(generation->image,
					     IMAGE_PART_BOOT);
	tree_id node = tree_find(tree, PATH_MENU);
	_cleanup_free_ char *text = NULL;
	const char *comment = NULL;
	struct tree_info info;
	int r;

	if (node != TREE_NONE)
		tree_get(tree, node, &info);
	if (node == TREE_NONE) {
		comment = "# There is no " PATH_MENU ".\n";
	} else if (!S_ISREG(info.attr.mode) || info.size > MENU_MAX) {
		comment = "# " PATH_MENU " is no file to show here.\n";
	} else {
		text = calloc(1, info.size + 1);
		if (!text)
			return -ENOMEM;
		r = tree_read(tree, node, text, info.size, 0, NULL);
		if (r == -ESTALE)
			comment = "# " PATH_MENU " has changed since.\n";
		else if (r < 0)
			return r;
	}
	if (comment) {
		free(text);
		text = strdup(comment);
		if (!text)
			return -ENOMEM;
	}
	*ret_text = take_ptr(text);
	return 0;
}

int generation_kernels(const struct generation *generation, char **ret_text)
{
	return boot_kernels_table(image_kernels(generation->image), TABLE_MAX,
				  ret_text);
}

int generation_boot(const struct generation *generation, char **ret_text)
{
	const struct image *image = generation->image;
	const struct tree *tree = image_tree(image, IMAGE_PART_BOOT);
	tree_id node = tree_find(tree, PATH_MENU);
	bool ours = node != TREE_NONE && tree_content(tree, node);
	_cleanup_free_ char *menu = NULL;
	struct tree_info info;
	int r = generation_menu(generation, &menu);

	if (r < 0)
		return r;
	if (ours)
		tree_get(tree, node, &info);
	/* A menu that is too long to be shown is a comment here. */
	if (ours && image_kernels(image) && strlen(menu) == info.size)
		boot_menu_sign(image_kernels(image), menu, 0);
	return boot_set_text(image_kernels(image), tree,
			     image_tree(image, IMAGE_PART_SYSTEM),
			     image_tree(image, IMAGE_PART_ARCHIVES), menu,
			     node != TREE_NONE && !ours, ret_text);
}
