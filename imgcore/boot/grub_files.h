/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_FILES_H
#define BOOT_GRUB_FILES_H

/*
 * GRUB's modules and its font, read into memory once: 5 MB. The core image that
 * was made of the same directory loads these modules and no others, whatever an
 * upgrade of GRUB does to the directory afterwards.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Ownership: counted; each tree that shows a file holds a reference.
 * Threading: immutable once they are read.
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "imgcore/tree.h"

struct diag;
struct grub_files;

/*
 * Those in dir_fd, which `dir` leads to, and the font in font_fd (-1: none);
 * none are listed yet. Both descriptors stay the caller's, and open until
 * grub_files_changed was asked.
 */
int grub_files_new(struct grub_files **ret_files, int dir_fd, const char *dir,
		   int font_fd, struct diag *diag);
/*
 * Lists them, with the identity of each. Returns when a later change gives a
 * file another change time.
 */
int grub_files_list(struct grub_files *files, struct diag *diag);
/* Reads those that the disk shows. */
int grub_files_read(struct grub_files *files, struct diag *diag);
/*
 * Whether the directory or anything that was listed changed since; also to be
 * asked when listing or reading failed.
 */
bool grub_files_changed(const struct grub_files *files);
void grub_files_unref(struct grub_files *files);

/* Adds the modules to the directory `to`, and the font to boot/grub/fonts. */
int grub_files_graft(struct grub_files *files, struct tree_builder *grafts,
		     builder_id to, const struct tree_attr *attr,
		     struct diag *diag);
/*
 * Whether GRUB finds these modules, by their bytes, where the disk has them:
 * -EINVAL names one that a file of the user's replaces.
 */
int grub_files_check(const struct grub_files *files,
		     const struct tree *boot_tree, struct diag *diag);

DEFINE_CLEANUP(struct grub_files, grub_files_unref)

#endif
