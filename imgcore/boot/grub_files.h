/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_FILES_H
#define BOOT_GRUB_FILES_H

/*
 * GRUB's modules and its font, read into memory once: 5 MB. The core image made
 * from the same directory loads these modules, even if an upgrade of GRUB
 * replaces those in the directory.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Ownership: counted; each tree that shows a file holds a reference.
 * Threading: immutable once they are read.
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "imgcore/tree.h"

/* GRUB's font, where it is installed. */
#define GRUB_FONT "unicode.pf2"

struct boot_target;
struct diag;
struct grub_files;

/*
 * Prepares the files in dir_fd, which `dir` leads to, and the font in font_fd
 * (-1: none); lists none yet. Both descriptors stay the caller's, and must be
 * open until grub_files_changed was called.
 */
int grub_files_new(struct grub_files **ret_files,
		   const struct boot_target *target, int dir_fd,
		   const char *dir, int font_fd, struct diag *diag);
/*
 * Lists the files, with the identity of each. Waits until any later change
 * would give a file another change time.
 */
int grub_files_list(struct grub_files *files, struct diag *diag);
/* Reads the files that the disk shows. */
int grub_files_read(struct grub_files *files, struct diag *diag);
/*
 * Whether the directory or a listed file changed since; also to be called if
 * listing or reading failed.
 */
bool grub_files_changed(const struct grub_files *files);
void grub_files_unref(struct grub_files *files);

/* Adds the modules to the directory `to`, and the font to PATH_FONTS. */
int grub_files_graft(struct grub_files *files, struct tree_builder *grafts,
		     builder_id to, const struct tree_attr *attr,
		     struct diag *diag);
/*
 * Checks that the disk shows these modules, byte for byte. -EINVAL names one
 * that a different file of the user's replaces.
 */
int grub_files_check(const struct grub_files *files,
		     const struct tree *boot_tree, struct diag *diag);

DEFINE_CLEANUP(struct grub_files, grub_files_unref)

#endif
