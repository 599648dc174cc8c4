/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_HOSTFILE_H
#define IMAGE_HOSTFILE_H

/*
 * Bytes of host files, with the proof that they are those that were scanned,
 * through a small cache of open descriptors, or one that is kept (kept.h).
 * Threading: any number of threads; no lock is held while a file is opened or
 * read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct diag;
struct descriptors;
struct hostfiles;
struct kept;
struct stale_list;
struct watch;

/* serve_stale: see image_options. */
int hostfiles_new(struct hostfiles **ret_files, bool serve_stale);
void hostfiles_free(struct hostfiles *files);

/*
 * From now on what is kept open is read through its descriptor; takes kept
 * over. Before anyone reads.
 */
void hostfiles_keep(struct hostfiles *files, struct kept *kept);
const struct kept *hostfiles_kept(const struct hostfiles *files);

/*
 * To be called before the first read. hostfiles_share: shares descriptors with
 * others; 0 or -ENOMEM. hostfiles_watch: learns of writes since a moment from a
 * watch (NULL: it does not).
 */
int hostfiles_share(struct hostfiles *files, const struct hostfiles *others);
void hostfiles_watch(struct hostfiles *files, struct watch *watch,
		     uint64_t since);
/* Closes files that are not being read, in all caches that share descriptors.
 */
void hostfiles_drop(struct hostfiles *files);
struct descriptors *hostfiles_descriptors(const struct hostfiles *files);

/* What was seen to be stale. */
struct stale_list *hostfiles_stale(struct hostfiles *files);

/*
 * Fills buf from a regular file of a tree; [offset, offset + len) lies within
 * it. -ESTALE with a diagnostic if the file is no longer the one scanned, and
 * is not to be served. If only the change time differs, it is the one scanned
 * if it is known that no byte was written.
 * dir: NULL, or the directory that one request keeps from a file to the next;
 * then the file is not kept open, as one that is read whole will hardly be read
 * again.
 */
int hostfiles_read(struct hostfiles *files, const struct tree *tree,
		   tree_id node, struct tree_dir *dir, void *buf, size_t len,
		   uint64_t offset, struct diag *diag);

#endif
