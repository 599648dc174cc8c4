/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_VALUES_H
#define FS_VALUES_H

/*
 * The values of options, taken strictly: no sign, no space, nothing after the
 * end, no overflow. Each returns NULL and sets its result, or says what is
 * wrong in a phrase (a constant string) and leaves the result alone.
 */

#include <stdbool.h>
#include <stdint.h>

#include "imgcore/boot.h"
#include "imgcore/tree.h"

/* Digits with at most one of K, M, G, T: powers of 1024. */
const char *value_size(const char *text, uint64_t *ret_bytes);
/* The same, a positive multiple of a sector. */
const char *value_sectors(const char *text, uint64_t *ret_bytes);
/* Five groups of hexadecimal digits, as RFC 9562 writes them. */
const char *value_uuid(const char *text, uint8_t ret_uuid[16]);
/* Seconds since 1970, not before. */
const char *value_epoch(const char *text, int64_t *ret_seconds);
/* Seconds; -1: for ever. */
const char *value_timeout(const char *text, int *ret_seconds);
/* Text that may stand on a line of a configuration file. */
const char *value_line(const char *text);
/* The name of a file that can stand beside info/. */
const char *value_name(const char *text);
const char *value_order(const char *text, enum boot_order *ret_order);
const char *value_console(const char *text, enum boot_console *ret_console);
const char *value_unreadable(const char *text,
			     enum tree_unreadable *ret_unreadable);
const char *value_xattrs(const char *text, enum tree_xattrs *ret_xattrs);
/* fail or serve. */
const char *value_stale(const char *text, bool *ret_serve);
const char *value_watch(const char *text, bool *ret_none);
/* keep, root or UID:GID; the last two set uid and gid. */
const char *value_owner(const char *text, enum tree_owner *ret_owner,
			uint32_t *ret_uid, uint32_t *ret_gid);

#endif
