/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/poll_changes.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "imgcore/diag.h"

struct polling {
	struct live *live;
	const struct trees *trees;
	const struct numbers *opened; /* files that a process may write to */
	struct watch_changes *changes;
};

/* Returns the nearest directory above path that is read from the host. */
static tree_id host_dir_above(const struct tree *tree, const char *path)
{
	_cleanup_free_ char *above = strdup(path);
	char *slash;

	if (!above)
		return TREE_NONE;
	while ((slash = strrchr(above, '/'))) {
		struct tree_info info;
		tree_id id;

		*slash = '\0';
		id = tree_find(tree, above);
		if (id == TREE_NONE)
			continue;
		tree_get(tree, id, &info);
		if (S_ISDIR(info.attr.mode) &&
		    tree_watch(tree, id) != TREE_NOT_HOST)
			return id;
	}
	return TREE_ROOT;
}

/* A mount or unmount changes what the directory above shows. */
static void note_mount(void *context, const char *path)
{
	const struct polling *p = context;
	const char *slash = strrchr(path, '/');

	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		const struct tree *tree = p->trees->tree[i];
		tree_id id = tree ? host_dir_above(tree, path) : TREE_NONE;
		int32_t watch = id == TREE_NONE ? TREE_UNWATCHED
						: tree_watch(tree, id);

		if (id == TREE_NONE ||
		    (watch >= 0 &&
		     watch_changes_note(p->changes, watch, 0,
					slash ? slash + 1 : path) < 0))
			p->changes->all = true;
	}
}

/*
 * A file that has a writer may be written through a mapping, which no event
 * reports: it counts as changed at each open.
 */
static void poll_file(void *context, enum image_part part, tree_id name,
		      int32_t watch, int fd)
{
	const struct polling *p = context;
	const struct tree *tree = image_tree(p->live->newest->image, part);
	bool changed = numbers_has(&p->changes->files, (uint64_t)watch);
	_cleanup_free_ char *copy = NULL;
	struct tree_info info;
	int32_t dir;

	if (numbers_has(p->opened, (uint64_t)watch) && io_has_writer(fd) == 1) {
		watch_put_opened(p->live->watch, watch);
		p->changes->written = changed = true;
	}
	if (!changed)
		return;
	tree_get(tree, name, &info);
	dir = tree_watch(tree, info.parent);
	copy = strndup(info.name, info.name_len);
	if (!copy ||
	    (dir >= 0 && watch_changes_note(p->changes, dir, 0, copy) < 0))
		p->changes->all = true;
}

/* Polls the files that have a watch themselves. */
static int poll_files(struct polling *p)
{
	_cleanup_(numbers_release) struct numbers opened = { 0 };
	int r = watch_take_opened(p->live->watch, &opened);

	p->opened = &opened;
	/* Numbers are only valid for the watch of the same directory. */
	if (r == 0 && newest_trees(p->live).tree[0] &&
	    opened.count + p->changes->files.count > 0)
		image_watched(p->live->newest->image, poll_file, p);
	numbers_clear(&p->changes->files);
	return r;
}

/* Polls what links in kernels/ lead to, which has no watch. */
static int poll_followed(struct polling *p)
{
	const struct tree *tree = p->trees->tree[IMAGE_PART_SYSTEM];
	tree_id dir;
	int32_t watch;

	if (!tree ||
	    !tree_followed_changed(tree, atomic_load(&p->live->own_dev),
				   p->live->mounts.fd, &dir))
		return 0;
	watch = tree_watch(tree, dir);
	return watch < 0 ? 0 : watch_changes_note(p->changes, watch, 0, "");
}

int poll_changes(struct live *live, const struct trees *trees,
		 struct watch_changes *changes, struct diag *diag)
{
	const struct image_options *options = &live->options.image;
	struct polling p = { live, trees, NULL, changes };
	struct pollfd fds[] = {
		{ .fd = live->watch->fd, .events = POLLIN },
		{ .fd = live->mounts.fd, .events = POLLPRI },
	};
	bool moved;
	int r = source_poll(&live->source, atomic_load(&live->own_dev),
			    live->mounts.fd, &moved, diag);

	if (r < 0)
		return r;
	if (moved) {
		watch_changes_clear(&live->changes);
		r = watch_renew(&live->watch, live->source.fd);
		if (r == 0)
			r = mounts_restart(&live->mounts, live->source.fd);
		return r < 0 ? diag_set(diag, r, options->src_path, NULL) : 0;
	}
	/* Mostly nothing has changed: then this is the only system call. */
	if (poll(fds, ARRAY_SIZE(fds), 0) < 0)
		fds[0].revents = fds[1].revents = POLLERR;
	r = watch_take(live->watch, fds[0].revents, changes);
	if (r == 0)
		r = poll_files(&p);
	if (r == 0)
		r = mounts_look(&live->mounts, fds[1].revents, note_mount, &p);
	if (r == 0)
		r = poll_followed(&p);
	numbers_sort(&changes->watches);
	numbers_sort(&changes->known);
	return r < 0 ? diag_set(diag, r, options->src_path, NULL) : 0;
}
