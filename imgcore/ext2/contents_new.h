/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EXT2_CONTENTS_NEW_H
#define EXT2_CONTENTS_NEW_H

#include <stdint.h>

struct diag;
struct ext2_contents;
struct htree_rules;
struct tree;

/* ext2_contents_new with other rules: for tests, which want equal hashes. */
int contents_new_ruled(struct ext2_contents **ret_contents,
		       const struct tree *tree, const uint8_t seed[16],
		       const struct htree_rules *rules,
		       const struct ext2_contents *previous, struct diag *diag);

#endif
