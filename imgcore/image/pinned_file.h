/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_PINNED_FILE_H
#define IMAGE_PINNED_FILE_H

/*
 * A host file that is kept open, by all images that show it. Threading: any
 * number of threads.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "imgcore/tree.h"

struct diag;
struct pinned_file;
struct watch;

/*
 * Takes an open file over on success, and watches it if `watch` is not NULL.
 * The caller has to check after this that it is the file that was scanned.
 * -ENOMEM, or an errno of fstat.
 */
int pinned_file_new(struct pinned_file **ret_file, int fd, struct watch *watch);
struct pinned_file *pinned_file_ref(struct pinned_file *file);
/* True if that was the last: the descriptor is closed. */
bool pinned_file_unref(struct pinned_file *file);

int pinned_file_descriptor(const struct pinned_file *file);
/* The number of its own watch, or TREE_UNWATCHED. */
int32_t pinned_file_watch(const struct pinned_file *file);
/*
 * Whether `watch` watches it, or cannot watch single files at all; false if it
 * was opened for another directory.
 */
bool pinned_file_is_watched(const struct pinned_file *file,
			    struct watch *watch);
/* Whether the events so far report a write since it was opened. */
bool pinned_file_written(struct pinned_file *file);

/*
 * As tree_verify_host, but the change time may differ if no byte was written:
 * the file has another mode, owner or attribute, or more or fewer names. Its
 * own watch tells that. Without one, or if events were lost, the number of
 * names must differ, as it does after a file was replaced. A file that was once
 * found to be another one stays so.
 */
int pinned_file_verify(struct pinned_file *file, const struct tree *tree,
		       tree_id node, struct diag *diag);

#endif
