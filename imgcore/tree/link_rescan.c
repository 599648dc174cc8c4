/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/link_rescan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "tree/links.h"

/* A file with several names, at least one of which was read anew. */
struct linked_file {
	int64_t ctime; /* as it was read */
	uint32_t ctime_ns;
	bool found; /* false: no name of it is left in what was read */
};

struct finding {
	struct links devices; /* device -> a number */
	struct links numbers; /* (device, inode) -> index in files */
	struct {
		struct linked_file *items;
		size_t count, size;
	} files;
	bool *taken; /* of the previous tree's places: not read again */
};

/* Adds the files of a directory that have several names. */
static int add_files(struct finding *f, const struct dir *dir, bool found)
{
	for (uint32_t i = 0; dir->linked > 0 && i < dir->count; i++) {
		const struct node *n = &dir->nodes[i];
		uint32_t next = (uint32_t)f->files.count;
		struct linked_file *file;
		uint32_t index;
		uint32_t dev;

		if (!(n->flags & NODE_LINKED) || (n->flags & NODE_GRAFT))
			continue;
		if (links_intern(&f->devices, 0, node_device(dir, n),
				 (uint32_t)f->devices.count, &dev) < 0 ||
		    links_intern(&f->numbers, dev, n->ino, next, &index) < 0)
			return -ENOMEM;
		file = index == next ? vec_push(&f->files)
				     : &f->files.items[index];
		if (!file)
			return -ENOMEM;
		if (found)
			*file = (struct linked_file){ n->ctime, n->ctime_ns,
						      true };
	}
	return 0;
}

/* Whether a name that was not read again shows an old state of its file. */
static bool is_outdated(const struct finding *f, const struct dir *dir,
			const struct node *node)
{
	const struct linked_file *file;
	uint32_t index;
	uint32_t dev;

	if (S_ISDIR(node->mode) || (node->flags & NODE_GRAFT) ||
	    !links_find(&f->devices, 0, node_device(dir, node), &dev) ||
	    !links_find(&f->numbers, dev, node->ino, &index))
		return false;
	file = &f->files.items[index];
	return !file->found || file->ctime != node->ctime ||
	       file->ctime_ns != node->ctime_ns;
}

static int find(struct finding *f, struct link_rescan *rescan,
		const struct tree *tree, const struct tree *previous,
		const struct previous_dir *dirs)
{
	const struct place *was = previous->places.items;

	f->taken = calloc(previous->places.count, sizeof(*f->taken));
	if (!f->taken)
		return -ENOMEM;
	for (size_t i = 1; i < tree->places.count; i++)
		if (!dirs[i].read)
			f->taken[dirs[i].place] = true;
	for (size_t i = 1; i < previous->places.count; i++)
		if (!f->taken[i] && add_files(f, was[i].dir, false) < 0)
			return -ENOMEM;
	/* Last: what was found overrides what was there before. */
	for (size_t i = 1; i < tree->places.count; i++)
		if ((dirs[i].read || dirs[i].place == 0) &&
		    add_files(f, tree->places.items[i].dir, true) < 0)
			return -ENOMEM;
	for (size_t i = 1; f->files.count > 0 && i < previous->places.count;
	     i++) {
		const struct dir *dir = was[i].dir;
		uint32_t k = 0;
		tree_id *id;

		if (!f->taken[i])
			continue;
		while (k < dir->count && !is_outdated(f, dir, &dir->nodes[k]))
			k++;
		if (k == dir->count)
			continue;
		id = vec_push(&rescan->dirs);
		if (!id)
			return -ENOMEM;
		*id = was[i].node;
	}
	return 0;
}

int link_rescan_find(struct link_rescan *rescan, const struct tree *tree,
		     const struct tree *previous,
		     const struct previous_dir *dirs)
{
	struct finding f = { 0 };
	int r = find(&f, rescan, tree, previous, dirs);

	links_release(&f.devices);
	links_release(&f.numbers);
	vec_free(&f.files);
	free(f.taken);
	return r;
}

void link_rescan_release(struct link_rescan *rescan)
{
	vec_free(&rescan->dirs);
}
