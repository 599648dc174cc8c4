/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/hostfile.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgcore/diag.h"

/*
 * Each slot holds one open file; who comes to a slot with another file takes
 * it over. A file closes when its slot and its last reader have let go.
 */
#define SLOTS 128u

struct hostfile {
	const struct tree *tree;
	tree_id node;
	int fd;
	atomic_uint users;
};

struct hostfiles {
	pthread_mutex_t lock; /* of the slots; held for a few instructions */
	struct hostfile *slots[SLOTS];
};

int hostfiles_new(struct hostfiles **ret_files)
{
	struct hostfiles *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	*ret_files = f;
	return 0;
}

static void hostfile_put(struct hostfile *file)
{
	if (!file || atomic_fetch_sub(&file->users, 1) != 1)
		return;
	close(file->fd);
	free(file);
}
DEFINE_CLEANUP(struct hostfile, hostfile_put)

void hostfiles_free(struct hostfiles *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		hostfile_put(files->slots[i]);
	pthread_mutex_destroy(&files->lock);
	free(files);
}

static struct hostfile **slot_of(struct hostfiles *files,
				 const struct tree *tree, tree_id node)
{
	uint32_t h = node ^ (uint32_t)((uintptr_t)tree >> 4);

	return &files->slots[(h * UINT32_C(0x9e3779b1) >> 16) % SLOTS];
}

/* The file in the slot, if it is the one asked for, with one more user. */
static struct hostfile *find(struct hostfiles *files, const struct tree *tree,
			     tree_id node)
{
	struct hostfile *file;

	pthread_mutex_lock(&files->lock);
	file = *slot_of(files, tree, node);
	if (file && file->tree == tree && file->node == node)
		atomic_fetch_add(&file->users, 1);
	else
		file = NULL;
	pthread_mutex_unlock(&files->lock);
	return file;
}

static void keep(struct hostfiles *files, struct hostfile *file)
{
	struct hostfile **slot = slot_of(files, file->tree, file->node);
	struct hostfile *old;

	pthread_mutex_lock(&files->lock);
	old = *slot;
	*slot = file;
	pthread_mutex_unlock(&files->lock);
	hostfile_put(old);
}

/* Closes all files that nobody reads at the moment. */
static void drop(struct hostfiles *files)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct hostfile *file;

		pthread_mutex_lock(&files->lock);
		file = take_ptr(files->slots[i]);
		pthread_mutex_unlock(&files->lock);
		hostfile_put(file);
	}
}

static int get(struct hostfiles *files, const struct tree *tree, tree_id node,
	       struct hostfile **ret_file, struct diag *diag)
{
	struct hostfile *file = find(files, tree, node);
	int fd;
	int r;

	if (file) {
		*ret_file = file;
		return 0;
	}
	r = tree_open_host(tree, node, &fd, diag);
	if (r == -EMFILE || r == -ENFILE) {
		drop(files);
		r = tree_open_host(tree, node, &fd, diag);
	}
	if (r < 0)
		return r;
	file = malloc(sizeof(*file));
	if (!file) {
		close(fd);
		return diag_set(diag, -ENOMEM, NULL, NULL);
	}
	*file = (struct hostfile){ .tree = tree, .node = node, .fd = fd };
	atomic_init(&file->users, 2); /* the slot, and our caller */
	keep(files, file);
	*ret_file = file;
	return 0;
}

static int fail(const struct tree *tree, tree_id node, int err,
		const char *reason, struct diag *diag)
{
	_cleanup_free_ char *path = NULL;

	if (diag)
		(void)tree_host_path(tree, node, &path);
	return diag_set(diag, err, path, "%s", reason);
}

int hostfiles_read(struct hostfiles *files, const struct tree *tree,
		   tree_id node, void *buf, size_t len, uint64_t offset,
		   struct diag *diag)
{
	_cleanup_(hostfile_putp) struct hostfile *file = NULL;
	ssize_t n;
	int r = get(files, tree, node, &file, diag);

	if (r < 0)
		return r;
	n = io_pread(file->fd, buf, len, offset);
	if (n < 0)
		return fail(tree, node, (int)n, strerror((int)-n), diag);
	/* Only what is unchanged behind the read was unchanged before it. */
	r = tree_verify_host(tree, node, file->fd, diag);
	if (r < 0)
		return r;
	return (size_t)n == len
		       ? 0
		       : fail(tree, node, -EIO,
			      "gives fewer bytes than its size says", diag);
}
