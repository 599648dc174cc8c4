/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OWNERS_H
#define FS_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

struct image_options;
struct tree;

#define OWNERS_HIDDEN                                                       \
	"files of owners that this user namespace does not have belong to " \
	"nobody (65534) on the disk; give another owner with --owner"

/* The ids as which this user namespace shows those that it does not map. */
struct owners {
	struct hidden_id {
		uint32_t id;
		bool possible; /* the namespace does not map this id itself */
	} user, group;
};

/* Reads it from /proc. */
void owners_read(struct owners *ret_owners);

/*
 * Whether the tree has files of owners that this user namespace does not map:
 * it shows all of them as one id.
 */
bool owners_are_hidden(const struct owners *owners,
		       const struct image_options *options,
		       const struct tree *tree);

#endif
