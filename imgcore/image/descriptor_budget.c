/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/descriptor_budget.h"

#include <stdlib.h>

#include "base/vec.h"

struct descriptor_budget *descriptor_budget_new(void)
{
	struct descriptor_budget *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	atomic_init(&d->users, 1);
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

struct descriptor_budget *descriptor_budget_ref(struct descriptor_budget *d)
{
	atomic_fetch_add(&d->users, 1);
	return d;
}

void descriptor_budget_unref(struct descriptor_budget *d)
{
	if (!d || atomic_fetch_sub(&d->users, 1) != 1)
		return;
	pthread_mutex_destroy(&d->lock);
	vec_free(&d->caches);
	free(d);
}

bool descriptor_budget_take(struct descriptor_budget *d, size_t budget)
{
	if (atomic_fetch_add(&d->pinned, 1) < budget)
		return true;
	atomic_fetch_sub(&d->pinned, 1);
	return false;
}

void descriptor_budget_give(struct descriptor_budget *d)
{
	atomic_fetch_sub(&d->pinned, 1);
}

int descriptor_budget_join(struct descriptor_budget *d,
			   struct descriptor_cache *cache)
{
	struct descriptor_cache **item;

	pthread_mutex_lock(&d->lock);
	item = vec_push(&d->caches);
	if (item)
		*item = cache;
	pthread_mutex_unlock(&d->lock);
	return item ? 0 : -ENOMEM;
}

void descriptor_budget_leave(struct descriptor_budget *d,
			     struct descriptor_cache *cache)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->caches.count; i++) {
		if (d->caches.items[i] != cache)
			continue;
		d->caches.items[i] = d->caches.items[--d->caches.count];
		break;
	}
	pthread_mutex_unlock(&d->lock);
}

void descriptor_budget_drop(struct descriptor_budget *d,
			    void (*drop)(struct descriptor_cache *cache))
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->caches.count; i++)
		drop(d->caches.items[i]);
	pthread_mutex_unlock(&d->lock);
}
