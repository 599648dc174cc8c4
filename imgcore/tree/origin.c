/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/origin.h"

#include <stdlib.h>

struct content_source *content_source_new(void)
{
	struct content_source *source = calloc(1, sizeof(*source));

	if (source)
		atomic_init(&source->users, 1);
	return source;
}

void content_source_unref(struct content_source *source)
{
	if (!source || atomic_fetch_sub(&source->users, 1) > 1)
		return;
	if (source->content)
		source->content->release(source->content);
	free(source);
}
