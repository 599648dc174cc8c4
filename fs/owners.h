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

/* How this user namespace shows ids that it has no number for. */
struct owners {
	struct hidden_id {
		uint32_t id;
		bool possible; /* it is no number of the namespace's own */
	} user, group;
};

/* Reads it from /proc. */
void owners_read(struct owners *ret_owners);

/*
 * Whether the tree shows owners that the host has, but does not tell: in a user
 * namespace each id that it has no number for looks like one and the same.
 */
bool owners_are_hidden(const struct owners *owners,
		       const struct image_options *options,
		       const struct tree *tree);

#endif
