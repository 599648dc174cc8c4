/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_KEPT_FILE_H
#define IMAGE_KEPT_FILE_H

/*
 * A host file that is kept open, by all images that show it. Threading: any
 * number of threads.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "imgcore/tree.h"

struct diag;
struct kept_file;

/* st: what fstat says of fd, which it takes over on success. -ENOMEM. */
int kept_file_new(struct kept_file **ret_file, int fd, const struct stat *st);
struct kept_file *kept_file_ref(struct kept_file *file);
/* True if that was the last: the descriptor is closed. */
bool kept_file_unref(struct kept_file *file);

int kept_file_descriptor(const struct kept_file *file);

/*
 * tree_verify_host, but that the file may have lost names since it was last
 * looked at: that changes its change time, not what it holds. Once it was
 * found to be another it stays that.
 */
int kept_file_verify(struct kept_file *file, const struct tree *tree,
		     tree_id node, struct diag *diag);

#endif
