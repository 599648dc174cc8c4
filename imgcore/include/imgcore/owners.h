/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OWNERS_H
#define IMGCORE_OWNERS_H

/*
 * Files of owners that the user namespace does not map. Threading: any thread.
 */

#include <stdbool.h>
#include <stdint.h>

struct tree;
struct tree_scan_options;

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
 * Whether the tree, scanned with these options, has files of owners that this
 * user namespace does not map: it shows all of them as one id.
 */
bool owners_are_hidden(const struct owners *owners,
		       const struct tree_scan_options *options,
		       const struct tree *tree);

#endif
