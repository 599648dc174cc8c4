/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_IDENTITY_H
#define IMAGE_IDENTITY_H

/*
 * The numbers by which a disk and its volumes are told from others. The same
 * trees with the same options give the same numbers; with a UUID that was asked
 * for they also stay when the trees change.
 */

#include <stddef.h>
#include <stdint.h>

struct image_options;
struct tree;

struct identity {
	uint8_t digest[16];
};

/* Of n trees, each on a partition. */
void identity_init(struct identity *identity,
		   const struct image_options *options,
		   const struct tree *const *trees, size_t n);

/* A UUID for a purpose: another one for each number. RFC 9562, version 8. */
void identity_uuid(const struct identity *identity, uint64_t purpose,
		   uint8_t ret_uuid[16]);
/* The disk's signature, which is not 0. */
uint32_t identity_signature(const struct identity *identity, uint64_t purpose);

#endif
