/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/range_lock.h"

#include <stdbool.h>
#include <stddef.h>

void range_lock_init(struct range_lock *lock)
{
	*lock = (struct range_lock){ 0 };
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->released, NULL);
}

void range_lock_destroy(struct range_lock *lock)
{
	pthread_cond_destroy(&lock->released);
	pthread_mutex_destroy(&lock->mutex);
}

/* Whether an earlier range, held or wanted, overlaps this one. */
static bool range_is_blocked(const struct range_lock *lock,
			     const struct range *range)
{
	for (const struct range *r = lock->first; r != range; r = r->next)
		if (r->start < range->end && range->start < r->end)
			return true;
	return false;
}

void range_acquire(struct range_lock *lock, struct range *range)
{
	struct range **last = &lock->first;

	range->next = NULL;
	pthread_mutex_lock(&lock->mutex);
	while (*last)
		last = &(*last)->next;
	*last = range;
	lock->waiting++;
	while (range_is_blocked(lock, range))
		pthread_cond_wait(&lock->released, &lock->mutex);
	lock->waiting--;
	pthread_mutex_unlock(&lock->mutex);
}

void range_release(struct range_lock *lock, struct range *range)
{
	struct range **at = &lock->first;

	pthread_mutex_lock(&lock->mutex);
	while (*at != range)
		at = &(*at)->next;
	*at = range->next;
	if (lock->waiting)
		pthread_cond_broadcast(&lock->released);
	pthread_mutex_unlock(&lock->mutex);
}
