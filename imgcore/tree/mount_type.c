/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/mount_type.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/vec.h"

/* Limit of bytes that are read. */
#define LIST_MAX (64u << 20)

struct mount_type {
	uint64_t id;
	bool holds_files;
	bool is_disk;
};

/* Type is the rest of a line. */
static bool type_is(const char *type, const char *name)
{
	size_t len = strcspn(type, " ");

	return strlen(name) == len && memcmp(name, type, len) == 0;
}

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
		if (type_is(type, closed[i]))
			return false;
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct mount_type *x = a;
	const struct mount_type *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Lines of "ID ... - TYPE ..."; after an error the list is empty. */
static void types_read(struct mount_types *t)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ char *text = NULL;
	char *line;
	char *rest;
	size_t len;

	t->list.count = 0;
	if (io_read_file(t->fd, LIST_MAX, &bytes, &len) < 0)
		return;
	rest = text = strndup((const char *)bytes, len);
	while ((line = strsep(&rest, "\n"))) {
		const char *type = strstr(line, " - ");
		struct mount_type *item;

		if (!type)
			continue;
		item = vec_push(&t->list);
		if (!item) {
			t->list.count = 0;
			return;
		}
		item->id = strtoull(line, NULL, 10);
		type += strlen(" - ");
		item->holds_files = type_holds_files(type);
		item->is_disk = type_is(type, DISK_FSTYPE);
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

bool mount_is_disk(int mountinfo, const struct statx *stx)
{
	_cleanup_close_ int fd = -1;
	const struct mount_type *found;
	struct mount_types types;
	bool is_disk;

	/* A file system on a device is none; most are. */
	if (stx->stx_dev_major != 0)
		return false;
	if (mountinfo < 0)
		mountinfo = fd = open("/proc/thread-self/mountinfo",
				      O_RDONLY | O_CLOEXEC);
	mount_types_init(&types, mountinfo);
	types_read(&types);
	found = types_find(&types, stx->stx_mnt_id);
	is_disk = found && found->is_disk;
	mount_types_release(&types);
	return is_disk;
}

bool mount_holds_files(struct mount_types *t, uint64_t id)
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
