/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"
#include "base/vec.h"

struct list {
	char **items;
	size_t count;
	size_t size;
};

static void list_release(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	vec_free(list);
}

/* Where path is below dir: what follows, or NULL. */
static const char *below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (len == 1) /* the root */
		return path[1] ? path + 1 : NULL;
	return strncmp(dir, path, len) == 0 && path[len] == '/' && path[len + 1]
		       ? path + len + 1
		       : NULL;
}

static int string_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_list(const struct mounts *m, struct list *list)
{
	_cleanup_(mountinfo_clear) struct mountinfo mount = { 0 };
	char dir[PATH_MAX] = "";
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", m->src_fd);
	if (readlink(path, dir, sizeof(dir) - 1) < 0)
		return -errno;
	r = mountinfo_read(&mount, m->fd);
	if (r < 0)
		return r;
	while (mountinfo_next(&mount)) {
		const char *relative = below(dir, mount.point);
		char **item = relative ? vec_push(list) : NULL;

		if (item)
			*item = strdup(relative);
		if (relative && (!item || !*item))
			return -ENOMEM;
	}
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items),
		      string_compare);
	return 0;
}

/*
 * Merges two sorted lists, each path once. A path that is in both may be of
 * another mount: ids and device numbers are reused at once.
 */
static void tell(const struct mounts *m, const struct list *now,
		 void (*changed)(void *context, const char *path),
		 void *context)
{
	size_t i = 0;
	size_t j = 0;

	while (i < m->n || j < now->count) {
		int c = i == m->n	  ? 1
			: j == now->count ? -1
					  : strcmp(m->list[i], now->items[j]);

		changed(context, c <= 0 ? m->list[i] : now->items[j]);
		i += c <= 0;
		j += c >= 0;
	}
}

/* The list as it is now; the old one goes. */
static void set_list(struct mounts *m, struct list *list)
{
	struct list old = { .items = m->list, .count = m->n };

	list_release(&old);
	m->list = list->items;
	m->n = list->count;
	*list = (struct list){ 0 };
}

int mounts_init(struct mounts *m, int src_fd)
{
	*m = (struct mounts){
		.fd = open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC),
	};
	return mounts_restart(m, src_fd);
}

int mounts_restart(struct mounts *m, int src_fd)
{
	_cleanup_(list_release) struct list list = { 0 };
	int r;

	m->src_fd = src_fd;
	if (m->fd < 0)
		return 0;
	r = read_list(m, &list);
	if (r == 0)
		set_list(m, &list);
	else
		mounts_release(m);
	return r == -ENOMEM ? r : 0;
}

void mounts_release(struct mounts *m)
{
	struct list none = { 0 };

	set_list(m, &none);
	base_closep(&m->fd);
	m->fd = -1;
}

int mounts_look(struct mounts *m, short news,
		void (*changed)(void *context, const char *path), void *context)
{
	_cleanup_(list_release) struct list list = { 0 };
	int r;

	if (m->fd < 0)
		return 0;
	if (news & (POLLPRI | POLLERR))
		m->changed = true;
	if (!m->changed)
		return 0;
	r = read_list(m, &list);
	if (r < 0)
		return r;
	tell(m, &list, changed, context);
	set_list(m, &list);
	m->changed = false;
	return 0;
}
