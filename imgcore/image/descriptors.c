/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/descriptors.h"

#include <stdlib.h>

#include "base/vec.h"

struct descriptors *descriptors_new(void)
{
	struct descriptors *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	atomic_init(&d->users, 1);
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

struct descriptors *descriptors_ref(struct descriptors *d)
{
	atomic_fetch_add(&d->users, 1);
	return d;
}

void descriptors_unref(struct descriptors *d)
{
	if (!d || atomic_fetch_sub(&d->users, 1) != 1)
		return;
	pthread_mutex_destroy(&d->lock);
	vec_free(&d->caches);
	free(d);
}

bool descriptors_take(struct descriptors *d, size_t budget)
{
	if (atomic_fetch_add(&d->kept, 1) < budget)
		return true;
	atomic_fetch_sub(&d->kept, 1);
	return false;
}

void descriptors_give(struct descriptors *d)
{
	atomic_fetch_sub(&d->kept, 1);
}

int descriptors_join(struct descriptors *d, struct hostfiles *cache)
{
	struct hostfiles **item;

	pthread_mutex_lock(&d->lock);
	item = vec_push(&d->caches);
	if (item)
		*item = cache;
	pthread_mutex_unlock(&d->lock);
	return item ? 0 : -ENOMEM;
}

void descriptors_leave(struct descriptors *d, struct hostfiles *cache)
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

void descriptors_drop(struct descriptors *d,
		      void (*drop)(struct hostfiles *cache))
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->caches.count; i++)
		drop(d->caches.items[i]);
	pthread_mutex_unlock(&d->lock);
}
