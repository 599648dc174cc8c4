/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_VMDK_H
#define FS_VMDK_H

/*
 * A VMDK descriptor: a text that tells those who want one that the disk beside
 * it is a flat extent ("Virtual Disk Format 5.0", VMware; monolithicFlat).
 * Whatever the disk, all descriptors of one name have one length.
 *
 * Errors: 0 or a negative errno.
 */

#include <stddef.h>
#include <stdint.h>

struct generation;

/*
 * The descriptor's name: the disk's, its .img replaced by .vmdk. NULL where a
 * descriptor cannot name the disk. The caller frees it.
 */
int vmdk_name(const char *disk, char **ret_name);
/* Bytes of text; a multiple of 512. */
size_t vmdk_size(const char *disk);
/* Of a generation of the disk. The caller frees the text. */
int vmdk_text(const char *disk, struct generation *generation, char **ret_text);

#endif
