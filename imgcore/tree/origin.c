/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/origin.h"

#include <stdlib.h>

struct origin *origin_new(void)
{
	struct origin *origin = calloc(1, sizeof(*origin));

	if (origin)
		atomic_init(&origin->users, 1);
	return origin;
}

void origin_unref(struct origin *origin)
{
	if (!origin || atomic_fetch_sub(&origin->users, 1) > 1)
		return;
	if (origin->content)
		origin->content->release(origin->content);
	free(origin);
}
