/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RANDOM_TREE_H
#define RANDOM_TREE_H

/*
 * Random trees in memory, the same ones for the same seed: deep and wide
 * directories, every type of file, odd names, hard links across directories,
 * holes, sizes around the ends of the block map's levels, extended attributes.
 */

#include <stdint.h>

#include "imgcore/tree.h"

/* xorshift64*: good enough for tests, and the same everywhere. */
struct random {
	uint64_t state;
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_u64(struct random *random);
/* 0 ... n - 1. */
uint64_t random_below(struct random *random, uint64_t n);

/* The program's seed (support/seeds.h); printed for the log. */
uint64_t random_seed(void);
/* `few` trials, `many` with DIRDISK_SOAK, a tenth with DIRDISK_BRIEF. */
unsigned random_trials(unsigned few, unsigned many);

/* A content of bytes that tell their file (the seed) and their place. */
struct content *pattern_new(uint64_t seed);
/* lost+found below the root, as the image wants it. */
void add_lost_found(struct tree_builder *builder);

/*
 * A tree with lost+found and up to max_entries random entries (some wide
 * ones: ten times as many). The entries are
 * put into the builder in an order drawn from `order`, which has no other part
 * in the tree. Aborts when out of memory.
 */
struct tree *random_tree(uint64_t seed, uint64_t order, unsigned max_entries);
/* Some files without holes, most of them of many gigabytes. */
struct tree *random_large_tree(uint64_t seed);

/* Gives an entry the extended attributes of a seed: mostly none. */
void random_xattrs(struct tree_builder *builder, builder_id id, uint64_t seed);

#endif
