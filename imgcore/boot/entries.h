/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_ENTRIES_H
#define BOOT_ENTRIES_H

/* Entries of the Boot Loader Specification. */

#include "boot/finder.h"

/*
 * Adds the entries of loader/entries/ in both trees. An entry of a kernel that
 * was found replaces it.
 */
int entries_find(struct finder *finder);

#endif
