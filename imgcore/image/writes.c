/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/writes.h"

#include <stdlib.h>

#include <xxhash.h>

/*
 * Open addressing, linear probing, by a hash of the name only: two names of the
 * same hash both count as written, which is safe.
 */

#define SIZE_FIRST 64u
/* At most half of the slots are used. */
#define SIZE_MAX_SLOTS (128u << 10)

static uint64_t key_of(int32_t watch, const char *name, size_t len)
{
	uint64_t key = XXH3_64bits_withSeed(name, len, (uint64_t)watch);

	return key ? key : 1;
}

static struct writes_slot *find(struct writes_slot *slots, size_t size,
				uint64_t key)
{
	size_t i = key & (size - 1);

	while (slots[i].key && slots[i].key != key)
		i = (i + 1) & (size - 1);
	return &slots[i];
}

static bool grow(struct writes *w)
{
	size_t size = w->size ? 2 * w->size : SIZE_FIRST;
	struct writes_slot *slots = size > SIZE_MAX_SLOTS
					    ? NULL
					    : calloc(size, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < w->size; i++)
		if (w->slots[i].key)
			*find(slots, size, w->slots[i].key) = w->slots[i];
	free(w->slots);
	w->slots = slots;
	w->size = size;
	return true;
}

void writes_forget(struct writes *w)
{
	free(w->slots);
	w->slots = NULL;
	w->count = w->size = 0;
	w->forgotten = ++w->now;
}

void writes_note(struct writes *w, int32_t watch, const char *name, size_t len)
{
	uint64_t key = key_of(watch, name, len);
	struct writes_slot *slot;

	if (2 * (w->count + 1) > w->size && !grow(w)) {
		writes_forget(w);
		return;
	}
	slot = find(w->slots, w->size, key);
	w->count += !slot->key;
	*slot = (struct writes_slot){ key, ++w->now };
}

bool writes_since(const struct writes *w, int32_t watch, const char *name,
		  size_t len, uint64_t since)
{
	uint64_t key = key_of(watch, name, len);
	const struct writes_slot *slot;

	if (!w->size)
		return false;
	slot = find(w->slots, w->size, key);
	return slot->key && slot->moment > since;
}

void writes_release(struct writes *w)
{
	free(w->slots);
	*w = (struct writes){ 0 };
}
