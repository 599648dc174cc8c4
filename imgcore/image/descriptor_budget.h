/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_DESCRIPTOR_BUDGET_H
#define IMAGE_DESCRIPTOR_BUDGET_H

/*
 * The descriptors of all images of one source: those that are kept open, which
 * are counted, and those in the images' caches, which can be closed at any
 * time. Threading: any number of threads.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct descriptor_cache;

struct descriptor_budget {
	atomic_size_t users;
	atomic_size_t pinned;
	pthread_mutex_t lock; /* of the rest */
	struct {
		struct descriptor_cache **items;
		size_t count, size;
	} caches;
};

/* NULL: out of memory. */
struct descriptor_budget *descriptor_budget_new(void);
struct descriptor_budget *descriptor_budget_ref(
	struct descriptor_budget *descriptors);
void descriptor_budget_unref(struct descriptor_budget *descriptors);
/* Counts one to be kept open; false if there are `budget` already. */
bool descriptor_budget_take(struct descriptor_budget *descriptors,
			    size_t budget);
void descriptor_budget_give(struct descriptor_budget *descriptors);
/* 0 or -ENOMEM. */
int descriptor_budget_join(struct descriptor_budget *descriptors,
			   struct descriptor_cache *cache);
void descriptor_budget_leave(struct descriptor_budget *descriptors,
			     struct descriptor_cache *cache);
/* Calls drop for each cache; none leaves meanwhile. */
void descriptor_budget_drop(struct descriptor_budget *descriptors,
			    void (*drop)(struct descriptor_cache *cache));

#endif
