/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_GENERATIONS_H
#define FS_GENERATIONS_H

/*
 * The disks that are served: the newest, and those of earlier generations that
 * somebody still has open, or knows of. Each has a node of its own, so that
 * the kernel never mixes their pages.
 *
 * A disk ends when it is not the newest, the kernel has forgotten its node, and
 * nobody uses it.
 *
 * Errors: 0 or a negative errno.
 * Threading: any number of threads. No lock is held while the tree is scanned
 * or a disk is read.
 */

#include <stdbool.h>
#include <stdint.h>

struct diag;
struct disk;
struct generations;
struct live;
struct overlay_budget;
struct served;

/* Nodes below this one are not of generations. */
#define GENERATIONS_NODE 64u

/*
 * Makes the first disk. tmp_fd: the directory of the overlays' files; budget:
 * their limit. live, budget and tmp_fd must outlive the result.
 */
int generations_new(struct generations **ret_generations, struct live *live,
		    int tmp_fd, struct overlay_budget *budget,
		    struct diag *diag);
void generations_free(struct generations *generations);

/* A disk that is in use until generations_done. */
struct disk *served_disk(const struct served *served);
uint64_t served_node(const struct served *served);
/* Whether it is the newest, which alone may be opened for writing. */
bool generations_is_newest(struct generations *generations,
			   const struct served *served);

/* That of the tree as it is now, which is scanned where it has changed. */
int generations_update(struct generations *generations,
		       struct served **ret_served, struct diag *diag);
/* The newest that is known, and that of a node, or NULL. */
struct served *generations_newest(struct generations *generations);
struct served *generations_of_node(struct generations *generations,
				   uint64_t node);
/* The same disk, in use once more. */
struct served *generations_use(struct generations *generations,
			       struct served *served);
void generations_done(struct generations *generations, struct served *served);

/* The kernel was told of its node once more; it forgets that so many times. */
void generations_looked_up(struct generations *generations,
			   struct served *served);
void generations_forget(struct generations *generations, uint64_t node,
			uint64_t count);

#endif
