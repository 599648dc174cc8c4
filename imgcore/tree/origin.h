/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_ORIGIN_H
#define TREE_ORIGIN_H

/*
 * The content of a grafted file, counted: a builder and the directories made of
 * it share it, and so do a file's names.
 */

#include <stdatomic.h>

#include "base/cleanup.h"
#include "imgcore/tree.h"

struct content_source {
	atomic_uint users;
	struct content *content; /* NULL: not there yet */
};

/* An empty one, or NULL. */
struct content_source *content_source_new(void);
void content_source_unref(struct content_source *source);

DEFINE_CLEANUP(struct content_source, content_source_unref)

#endif
