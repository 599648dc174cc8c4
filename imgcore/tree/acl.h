/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TREE_ACL_H
#define TREE_ACL_H

/*
 * POSIX access control lists, from the form in which Linux hands them out
 * (system.posix_acl_access and _default) to the one that ext2 keeps. Both are
 * a version and entries, little-endian:
 *
 *     handed out    u32 2; entries: u16 tag, u16 permissions, u32 id
 *     kept          u32 1; the same, without the id where the tag has none
 *
 * Source: the kernel's posix_acl_xattr.h and fs/ext4/acl.h.
 */

#include <stddef.h>
#include <stdint.h>

/*
 * Writes at most len bytes to ret_kept: no ACL grows. Returns how many, or
 * -EINVAL where it is not one.
 */
long acl_keep(const uint8_t *acl, size_t len, uint8_t *ret_kept);

#endif
