/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_RANGE_LOCK_H
#define BASE_RANGE_LOCK_H

/*
 * A lock of ranges of numbers: at most one thread holds any number. Ranges that
 * overlap are granted in the order of the requests, so no thread starves. The
 * cost grows with the threads that hold or want a range, not with the numbers.
 */

#include <pthread.h>
#include <stdint.h>

struct range {
	uint64_t start; /* [start, end) */
	uint64_t end;
	struct range *next; /* asked for later */
};

struct range_lock {
	pthread_mutex_t mutex; /* protects all below */
	pthread_cond_t released;
	unsigned waiting;
	struct range *first; /* held or wanted, the earliest first */
};

void range_lock_init(struct range_lock *lock);
void range_lock_destroy(struct range_lock *lock);

/* start and end are set; the range must live until it is released. */
void range_acquire(struct range_lock *lock, struct range *range);
void range_release(struct range_lock *lock, struct range *range);

#endif
