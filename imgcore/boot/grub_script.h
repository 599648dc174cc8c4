/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_SCRIPT_H
#define BOOT_GRUB_SCRIPT_H

/*
 * The files that a grub.cfg of the user's names: the arguments of linux and
 * initrd, wherever those commands stand. The script is not run, and variables
 * are not replaced.
 *
 * Errors: -ENOMEM, and any error of found.
 */

#include <stdbool.h>

/* Calls found for each file, with its path from the root of its partition. */
int grub_script_files(const char *text,
		      int (*found)(void *context, const char *path,
				   bool kernel),
		      void *context);

#endif
