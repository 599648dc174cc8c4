/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/link_rescan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "tree/links.h"

/* A file with several names, of which at least one was read anew. */
struct suspect {
	int64_t ctime; /* as it was read; of a name that is gone: none */
	uint32_t ctime_ns;
	bool there;
};

struct finding {
	struct link_rescan *rescan;
	struct links devices; /* device -> a number */
	struct links files; /* (device, inode) -> index in suspects */
	struct {
		struct suspect *items;
		size_t count, size;
	} suspects;
	const struct previous_dir *dirs;
	bool *taken; /* of the earlier tree's places: unread */
};

static int add_suspect(struct finding *f, const struct dir *dir,
		       const struct node *node, bool there)
{
	uint32_t next = (uint32_t)f->suspects.count;
	struct suspect *s;
	uint32_t index;
	uint32_t dev;

	if (links_intern(&f->devices, 0, node_device(dir, node),
			 (uint32_t)f->devices.count, &dev) < 0 ||
	    links_intern(&f->files, dev, node->ino, next, &index) < 0)
		return -ENOMEM;
	s = index == next ? vec_push(&f->suspects) : &f->suspects.items[index];
	if (!s)
		return -ENOMEM;
	if (there)
		*s = (struct suspect){ node->ctime, node->ctime_ns, true };
	return 0;
}

static int add_linked(struct finding *f, const struct dir *dir, bool there)
{
	if (dir->linked == 0)
		return 0;
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct node *n = &dir->nodes[i];

		if ((n->flags & NODE_LINKED) && !(n->flags & NODE_GRAFT) &&
		    add_suspect(f, dir, n, there) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* What is there is said behind what was. */
static int add_suspects(struct finding *f, const struct tree *tree,
			const struct tree *previous)
{
	for (size_t i = 1; i < previous->places.count; i++)
		if (!f->taken[i] &&
		    add_linked(f, previous->places.items[i].dir, false) < 0)
			return -ENOMEM;
	for (size_t i = 1; i < tree->places.count; i++)
		if ((f->dirs[i].read || f->dirs[i].place == 0) &&
		    add_linked(f, tree->places.items[i].dir, true) < 0)
			return -ENOMEM;
	return 0;
}

/* Whether a name that was not read again shows what is no more. */
static bool is_outdated(const struct finding *f, const struct dir *dir,
			const struct node *node)
{
	const struct suspect *s;
	uint32_t index;
	uint32_t dev;

	if (S_ISDIR(node->mode) || (node->flags & NODE_GRAFT) ||
	    !links_find(&f->devices, 0, node_device(dir, node), &dev) ||
	    !links_find(&f->files, dev, node->ino, &index))
		return false;
	s = &f->suspects.items[index];
	return !s->there || s->ctime != node->ctime ||
	       s->ctime_ns != node->ctime_ns;
}

static int check_taken(struct finding *f, const struct tree *previous)
{
	for (size_t i = 1; i < previous->places.count; i++) {
		const struct place *place = &previous->places.items[i];
		const struct dir *dir = place->dir;
		tree_id *id;
		uint32_t k = 0;

		if (!f->taken[i])
			continue;
		while (k < dir->count && !is_outdated(f, dir, &dir->nodes[k]))
			k++;
		if (k == dir->count)
			continue;
		id = vec_push(&f->rescan->dirs);
		if (!id)
			return -ENOMEM;
		*id = place->node;
	}
	return 0;
}

static int find_all(struct finding *f, const struct tree *tree,
		    const struct tree *previous)
{
	f->taken = calloc(previous->places.count, sizeof(*f->taken));
	if (!f->taken)
		return -ENOMEM;
	for (size_t i = 1; i < tree->places.count; i++)
		if (!f->dirs[i].read)
			f->taken[f->dirs[i].place] = true;
	if (add_suspects(f, tree, previous) < 0)
		return -ENOMEM;
	return f->suspects.count > 0 ? check_taken(f, previous) : 0;
}

int link_rescan_find(struct link_rescan *rescan, const struct tree *tree,
		     const struct tree *previous,
		     const struct previous_dir *dirs)
{
	struct finding f = { .rescan = rescan, .dirs = dirs };
	int r = find_all(&f, tree, previous);

	links_release(&f.devices);
	links_release(&f.files);
	vec_free(&f.suspects);
	free(f.taken);
	return r;
}

void link_rescan_release(struct link_rescan *rescan)
{
	vec_free(&rescan->dirs);
}
