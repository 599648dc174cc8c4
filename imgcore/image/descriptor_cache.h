/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_DESCRIPTOR_CACHE_H
#define IMAGE_DESCRIPTOR_CACHE_H

/*
 * Bytes of host files, with the proof that they are those that were scanned,
 * through a small cache of open descriptors, or one that is pinned
 * (pinned_files.h). Threading: any number of threads; no lock is held while a
 * file is opened or read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/tree.h"

struct diag;
struct descriptor_budget;
struct descriptor_cache;
struct pinned_files;
struct stale_list;
struct watch;

/* serve_stale: see image_options. */
int descriptor_cache_new(struct descriptor_cache **ret_files, bool serve_stale);
void descriptor_cache_free(struct descriptor_cache *files);

/*
 * From now on what is kept open is read through its descriptor; takes kept
 * over. Before anyone reads.
 */
void descriptor_cache_pin(struct descriptor_cache *files,
			  struct pinned_files *pinned);
const struct pinned_files *descriptor_cache_pinned(
	const struct descriptor_cache *files);

/*
 * To be called before the first read. descriptor_cache_share: shares
 * descriptors with others; 0 or -ENOMEM. descriptor_cache_watch: learns of
 * writes since a moment from a watch (NULL: it does not).
 */
int descriptor_cache_share(struct descriptor_cache *files,
			   const struct descriptor_cache *others);
void descriptor_cache_watch(struct descriptor_cache *files, struct watch *watch,
			    uint64_t since);
/* Closes files that are not being read, in all caches that share descriptors.
 */
void descriptor_cache_drop(struct descriptor_cache *files);
struct descriptor_budget *descriptor_cache_descriptors(
	const struct descriptor_cache *files);

/* What was seen to be stale. */
struct stale_list *descriptor_cache_stale(struct descriptor_cache *files);

/*
 * Fills buf from a regular file of a tree; [offset, offset + len) lies within
 * it. -ESTALE with a diagnostic if the file is no longer the one scanned, and
 * is not to be served. If only the change time differs, it is the one scanned
 * if it is known that no byte was written.
 * dir: NULL, or the directory that one request keeps from a file to the next;
 * then the file is not kept open, as one that is read whole will hardly be read
 * again.
 */
int descriptor_cache_read(struct descriptor_cache *files,
			  const struct tree *tree, tree_id node,
			  struct tree_dir *dir, void *buf, size_t len,
			  uint64_t offset, struct diag *diag);

#endif
