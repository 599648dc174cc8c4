/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/mount_type.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/mountinfo.h"
#include "base/vec.h"

struct mount_type {
	uint64_t id;
	bool holds_files;
};

static bool type_holds_files(const char *type)
{
	static const char *const closed[] = {
		"autofs",     "binfmt_misc", "bpf",	  "cgroup",
		"cgroup2",    "configfs",    "debugfs",	  "devpts",
		"efivarfs",   DISK_FSTYPE,   "fusectl",	  "hugetlbfs",
		"mqueue",     "nsfs",	     "proc",	  "pstore",
		"rpc_pipefs", "securityfs",  "selinuxfs", "sysfs",
		"tracefs",
	};

	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		if (strcmp(type, closed[i]) == 0)
			return false;
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct mount_type *x = a;
	const struct mount_type *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* After an error the list is empty. */
static void types_read(struct mount_types *t)
{
	_cleanup_(mountinfo_clear) struct mountinfo list = { 0 };

	t->list.count = 0;
	if (mountinfo_read(&list, t->fd) < 0)
		return;
	while (mountinfo_next(&list)) {
		struct mount_type *item = vec_push(&t->list);

		if (!item) {
			t->list.count = 0;
			return;
		}
		item->id = list.id;
		item->holds_files = type_holds_files(list.type);
	}
	if (t->list.count)
		qsort(t->list.items, t->list.count, sizeof(*t->list.items),
		      by_id);
}

static const struct mount_type *types_find(const struct mount_types *t,
					   uint64_t id)
{
	const struct mount_type key = { .id = id };

	return t->list.count ? bsearch(&key, t->list.items, t->list.count,
				       sizeof(key), by_id)
			     : NULL;
}

void mount_types_init(struct mount_types *t, int fd)
{
	*t = (struct mount_types){ .fd = fd };
	pthread_mutex_init(&t->mutex, NULL);
}

void mount_types_release(struct mount_types *t)
{
	vec_free(&t->list);
	pthread_mutex_destroy(&t->mutex);
}

bool mount_type_is_disk(int mountinfo, const struct statx *stx)
{
	_cleanup_(mountinfo_clear) struct mountinfo list = { 0 };

	/* A file system on a device is none; most are. */
	return stx->stx_dev_major == 0 &&
	       mountinfo_find(&list, mountinfo, stx->stx_mnt_id) == 0 &&
	       strcmp(list.type, DISK_FSTYPE) == 0;
}

bool mount_types_hold_files(struct mount_types *t, uint64_t id)
{
	const struct mount_type *found;
	bool holds_files;

	pthread_mutex_lock(&t->mutex);
	found = types_find(t, id);
	if (!found) { /* mounted after the list was read, or the first call */
		types_read(t);
		found = types_find(t, id);
	}
	holds_files = found && found->holds_files;
	pthread_mutex_unlock(&t->mutex);
	return holds_files;
}
