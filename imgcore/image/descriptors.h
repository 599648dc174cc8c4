/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_DESCRIPTORS_H
#define IMAGE_DESCRIPTORS_H

/*
 * The descriptors of all images of one source: those that are kept open, which
 * are counted, and those in the images' caches, which can be closed at any
 * time. Threading: any number of threads.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct hostfiles;

struct descriptors {
	atomic_size_t users;
	atomic_size_t kept;
	pthread_mutex_t lock; /* of the rest */
	struct {
		struct hostfiles **items;
		size_t count, size;
	} caches;
};

/* NULL: out of memory. */
struct descriptors *descriptors_new(void);
struct descriptors *descriptors_ref(struct descriptors *descriptors);
void descriptors_unref(struct descriptors *descriptors);
/* Counts one to be kept open; false if there are `budget` already. */
bool descriptors_take(struct descriptors *descriptors, size_t budget);
void descriptors_give(struct descriptors *descriptors);
/* 0 or -ENOMEM. */
int descriptors_join(struct descriptors *descriptors, struct hostfiles *cache);
void descriptors_leave(struct descriptors *descriptors,
		       struct hostfiles *cache);
/* Calls drop for each cache; none leaves meanwhile. */
void descriptors_drop(struct descriptors *descriptors,
		      void (*drop)(struct hostfiles *cache));

#endif
