/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_MENU_H
#define RUN_MENU_H

/*
 * The files that a menu names. It is a script of GRUB's, ours or the user's
 * own: of that, the words behind linux and initrd are looked at, not what leads
 * to them; variables are not replaced.
 *
 * Errors: -ENOMEM, and what found gives.
 */

#include <stdbool.h>

/* Calls found for each, with its path below the root of the partition. */
int menu_read(const char *text,
	      int (*found)(void *context, const char *path, bool kernel),
	      void *context);

#endif
