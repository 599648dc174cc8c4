/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/links.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct links *links, uint32_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> 32) & (links->size - 1);
}

static struct link_slot *find(const struct links *links, uint32_t dev,
			      uint64_t ino)
{
	size_t i = slot_of(links, dev, ino);

	while (links->slots[i].node != TREE_NONE &&
	       (links->slots[i].ino != ino || links->slots[i].dev != dev))
		i = (i + 1) & (links->size - 1);
	return &links->slots[i];
}

static int grow(struct links *links)
{
	struct links bigger = { .size = links->size ? links->size * 2 : 64 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < bigger.size; i++)
		bigger.slots[i].node = TREE_NONE;
	for (size_t i = 0; i < links->size; i++) {
		const struct link_slot *s = &links->slots[i];

		if (s->node != TREE_NONE)
			*find(&bigger, s->dev, s->ino) = *s;
	}
	bigger.count = links->count;
	free(links->slots);
	*links = bigger;
	return 0;
}

int links_intern(struct links *links, uint32_t dev, uint64_t ino, tree_id node,
		 tree_id *ret_node)
{
	struct link_slot *slot;

	if (links->count * 2 >= links->size) {
		int r = grow(links);

		if (r < 0)
			return r;
	}
	slot = find(links, dev, ino);
	if (slot->node == TREE_NONE) {
		*slot = (struct link_slot){ ino, dev, node };
		links->count++;
	}
	*ret_node = slot->node;
	return 0;
}

bool links_find(const struct links *links, uint32_t dev, uint64_t ino,
		tree_id *ret_node)
{
	const struct link_slot *slot;

	if (links->size == 0)
		return false;
	slot = find(links, dev, ino);
	if (slot->node == TREE_NONE)
		return false;
	*ret_node = slot->node;
	return true;
}

void links_release(struct links *links)
{
	free(links->slots);
	*links = (struct links){ 0 };
}
