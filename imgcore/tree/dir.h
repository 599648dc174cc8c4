/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_DIR_H
#define TREE_DIR_H

/*
 * Directories, as trees share them: made once, changed never, but for the
 * content of a graft before anyone else sees it; counted.
 */

#include "tree/dir_builder.h"
#include "tree/node.h"

/* The directory of a sorted builder. */
int dir_new(struct dir **ret_dir, const struct dir_builder *builder,
	    const struct tree_clock *clock);
struct dir *dir_ref(struct dir *dir);
void dir_unref(struct dir *dir);
/* Computes its digest again. */
void dir_digest(struct dir *dir, const struct tree_clock *clock);
/* The entry of that name, or NULL. */
const struct node *dir_find(const struct dir *dir, const char *name,
			    size_t len);
/* Whether two nodes are of one inode that did not change. */
bool node_same(const struct dir *dir, const struct node *node,
	       const struct dir *other_dir, const struct node *other);
/* Whether they show the same, of the same host files. */
bool dir_equal(const struct dir *a, const struct dir *b);

#endif
