/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_LIVE_H
#define IMGCORE_LIVE_H

/*
 * A directory that changes, and its disks. Each disk is a generation: the tree
 * as it was at one moment. It does not change for as long as it is held.
 * live_newest returns the tree as it is now.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Ownership: generations are counted; they may outlive what made them.
 * Threading: any thread may call any function at any time, except live_free.
 */

#include <stdint.h>

#include "imgcore/image.h"

struct diag;
struct generation;
struct live;
struct opener;

struct live_options {
	/* What its pointers point to outlives the live tree. */
	struct image_options image;
	bool no_watch; /* no inotify: the source is read at each open */
	/*
	 * The source's absolute path, which is followed again at each open.
	 * NULL: the source is always image.src_fd.
	 */
	const char *path;
	/*
	 * Opens the directory that the path leads to now, and makes the opener
	 * of the files beneath it; both are the caller's. own_dev: st_dev of
	 * our mount, or 0. 0 or a negative errno. NULL: opener_find is used.
	 */
	int (*find)(void *context, uint64_t own_dev, int *ret_fd,
		    struct opener **ret_opener);
	/*
	 * Called once, before the first scan: after it, no other path is looked
	 * up, and no program is run. May be NULL.
	 */
	int (*begin)(void *context, struct diag *diag);
	/* Called with a line for the log, by any thread; may be NULL. */
	void (*notice)(void *context, const struct diag *diag, int err);
	void *context;
};

/*
 * Scans the source, makes its first generation, and watches it from then on.
 * Only this call runs programs. Later calls look up options.path and no other
 * absolute path.
 */
int live_new(struct live **ret_live, const struct live_options *options,
	     struct diag *diag);
void live_free(struct live *live);
/*
 * Starts a thread that drains the event queue in the background. Optional:
 * without it, queues overflow sooner and cause full rescans. The thread has the
 * rights that the caller has when it calls this.
 */
void live_start_thread(struct live *live);
/*
 * Sets st_dev of our own mount, once it is there. The kernel does not reuse the
 * number while a file of the mount is open or can be opened; a scan after that
 * is never shown.
 */
void live_set_own_dev(struct live *live, uint64_t dev);

/*
 * Returns the generation of the tree as it is now; if nothing changed, it is
 * the same as before. The caller unrefs it. -EAGAIN: the tree keeps changing,
 * the path is one that changed; -ENOENT, -ENOTDIR: the source's path leads to
 * no directory; -EXDEV: it leads to our own mount; other errors: no disk can be
 * made of the tree. Earlier generations stay.
 */
int live_newest(struct live *live, struct generation **ret_generation,
		struct diag *diag);

struct generation *generation_ref(struct generation *generation);
/* The last one frees it; NULL is allowed. */
void generation_unref(struct generation *generation);
/* Lives as long as the generation. */
struct image *generation_image(struct generation *generation);
/* From 1. */
uint64_t generation_number(const struct generation *generation);
/* When the tree was like that, in nanoseconds since 1970. */
int64_t generation_time(const struct generation *generation);
/*
 * The reason for this generation: a line for each path that changed, at most
 * 100, then "and N more".
 */
const char *generation_reason(const struct generation *generation);
/* Returns grub.cfg as it is on the disk. The caller frees text. */
int generation_menu(const struct generation *generation, char **ret_text);
/*
 * The kernels, in the order of the menu, with their initial RAM disks, and the
 * other files beside them, with a reason. The caller frees text.
 */
int generation_kernels(const struct generation *generation, char **ret_text);
/*
 * The files that a boot can read, each with its identity, then the menu with
 * zeroes in place of the disk's signature: generations with equal texts boot
 * the same. The caller frees text.
 */
int generation_boot(const struct generation *generation, char **ret_text);

#endif
