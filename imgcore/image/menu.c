/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/menu.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/* The node of a menu that is ours, or TREE_NONE. */
static tree_id find(const struct tree *boot_tree)
{
	tree_id node = tree_find(boot_tree, PATH_MENU);

	return node != TREE_NONE && tree_content(boot_tree, node) ? node
								  : TREE_NONE;
}

static int set(struct tree *boot_tree, tree_id node, const char *text,
	       size_t len, struct diag *diag)
{
	struct content *content;
	int r = content_new_bytes(&content, text, len);

	if (r == 0)
		r = tree_set_content(boot_tree, node, content, len);
	return r < 0 ? diag_set(diag, r, PATH_MENU, NULL) : 0;
}

int menu_write(struct tree *boot_tree, struct boot_kernels *kernels,
	       const struct boot_options *options, struct diag *diag)
{
	tree_id node = find(boot_tree);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (node == TREE_NONE)
		return 0;
	r = boot_menu(kernels, options, &text, &len, diag);
	return r < 0 ? r : set(boot_tree, node, text, len, diag);
}

int menu_sign(struct tree *boot_tree, const struct boot_kernels *kernels,
	      uint32_t signature, struct diag *diag)
{
	tree_id node = find(boot_tree);
	_cleanup_free_ char *text = NULL;
	struct tree_info info;
	int r;

	if (node == TREE_NONE || !kernels)
		return 0;
	tree_get(boot_tree, node, &info);
	text = malloc(info.size + 1);
	if (!text)
		return diag_set(diag, -ENOMEM, PATH_MENU, NULL);
	r = tree_read(boot_tree, node, text, info.size, 0, diag);
	if (r < 0)
		return r;
	boot_menu_sign(kernels, text, signature);
	return set(boot_tree, node, text, info.size, diag);
}
