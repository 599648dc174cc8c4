/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_REASON_H
#define LIVE_REASON_H

#include "image/watch.h"
#include "imgcore/image.h"

/*
 * Makes the reason for a generation, a text for people. Directories are looked
 * up in the new trees, then in the old ones (NULL: there are none). 0 or
 * -ENOMEM.
 */
int reason_make(const struct watch_changes *changes,
		const struct tree *const now[IMAGE_PARTS],
		const struct tree *const old[IMAGE_PARTS], char **ret_text);
/* Returns the path of the last change; NULL: none is known. */
int reason_last(const struct watch_changes *changes,
		const struct tree *const trees[IMAGE_PARTS], char **ret_path);

#endif
