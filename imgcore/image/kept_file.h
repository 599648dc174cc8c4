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
struct watch;

/*
 * Takes an open file over on success, and watches it if `watch` is not NULL.
 * Whoever then finds it to be the one scanned knows it from there on. -ENOMEM,
 * or as fstat.
 */
int kept_file_new(struct kept_file **ret_file, int fd, struct watch *watch);
struct kept_file *kept_file_ref(struct kept_file *file);
/* True if that was the last: the descriptor is closed. */
bool kept_file_unref(struct kept_file *file);

int kept_file_descriptor(const struct kept_file *file);
/* The number of its own watch, or TREE_UNWATCHED. */
int32_t kept_file_watch(const struct kept_file *file);
/*
 * Whether `watch` watches it, as far as that watches single files at all: it
 * may have been opened for another directory.
 */
bool kept_file_is_watched(const struct kept_file *file, struct watch *watch);
/* Whether events told so far that it was written to since it was opened. */
bool kept_file_written(struct kept_file *file);

/*
 * tree_verify_host, but that the change time may be another where bytes were
 * not written: the file has another mode, owner or attribute, or more or fewer
 * names. Its own watch tells. Without one, or where events were lost, the
 * number of names must be another, as it is when a file was replaced; one that
 * was found to be another file without that stays it.
 */
int kept_file_verify(struct kept_file *file, const struct tree *tree,
		     tree_id node, struct diag *diag);

#endif
