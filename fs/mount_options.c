/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mount_options.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/option_row.h"
#include "tree/mount_type.h"

/* mount(2) takes at most a page for each of its strings, escapes included. */
#define MAX_MOUNT_NAME 1024

/* Words for FUSE, and the flags of mount(2) that each sets and clears. */
static const struct {
	const char *word;
	unsigned long sets;
	unsigned long clears;
} words[] = {
	{ "allow_other" },	    { "allow_root" },
	{ "ro", MS_RDONLY },	    { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID },    { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV },	    { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC },    { "exec", 0, MS_NOEXEC },
	{ "sync", MS_SYNCHRONOUS }, { "async", 0, MS_SYNCHRONOUS },
	{ "noatime", MS_NOATIME },  { "atime", 0, MS_NOATIME },
	{ "dirsync", MS_DIRSYNC },
};

static const char *const ignored[] = {
	/* Options that are always on, or have no effect on this file system. */
	"auto_unmount", "default_permissions", "user_id", "group_id",
	"max_read", "blksize", "relatime", "norelatime", "diratime",
	"nodiratime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"symfollow", "nosymfollow", "iversion", "noiversion", "mand", "nomand",
	"silent", "loud",
	/* Options of fstab for mount(8) and systemd. */
	"defaults", "auto", "noauto", "user", "nouser", "users", "nousers",
	"noowner", "group", "nogroup", "comment", "helper", "uhelper",
	"_netdev", "nofail"
};

/* Appends an entry to the list, with its commas and backslashes escaped. */
static int append(char **list, const char *entry)
{
	size_t len = *list ? strlen(*list) : 0;
	char *new = realloc(*list, len + 1 + 2 * strlen(entry) + 1);
	char *end = new + len;

	if (!new)
		return -ENOMEM;
	*list = new;
	if (len > 0)
		*end++ = ',';
	for (; *entry; entry++) {
		if (*entry == ',' || *entry == '\\')
			*end++ = '\\';
		*end++ = *entry;
	}
	*end = '\0';
	return 0;
}

/* Returns what is wrong with a name for mount(2), or NULL. */
static const char *check_name(const char *name, bool subtype)
{
	if (!name)
		return "needs a value";
	/* The type of a disk's mount is what other processes recognize it by.
	 */
	if (subtype)
		return strcmp(name, DISK_SUBTYPE) == 0
			       ? NULL
			       : "a disk has the type fuse." DISK_SUBTYPE
				 ", by which others recognize it; leave it out";
	if (!*name)
		return "empty; give it a value";
	return strlen(name) <= MAX_MOUNT_NAME
		       ? NULL
		       : "longer than 1024 bytes, which is too much for mount(2); give a shorter one";
}

int mount_options_add(void *target, const char *entry, struct diag *diag)
{
	struct mount_options *options = target;
	size_t len = strcspn(entry, "=");
	const char *value = entry[len] ? entry + len + 1 : NULL;
	_cleanup_free_ char *word = strndup(entry, len);
	const char *wrong;
	bool subtype, fsname, remount;
	size_t i = 0;

	if (!word)
		return -ENOMEM;
	if (strncmp(word, "x-", 2) == 0 || strncmp(word, "X-", 2) == 0)
		return 0;
	for (size_t k = 0; k < ARRAY_SIZE(ignored); k++) {
		if (strcmp(word, ignored[k]) == 0)
			return 0;
	}
	subtype = strcmp(word, "subtype") == 0;
	fsname = strcmp(word, "fsname") == 0;
	remount = strcmp(word, "remount") == 0;
	while (i < ARRAY_SIZE(words) && strcmp(word, words[i].word) != 0)
		i++;
	if (subtype || fsname)
		wrong = check_name(value, subtype);
	else if (remount || i < ARRAY_SIZE(words))
		wrong = value ? "takes no value" : NULL;
	else
		return -ENOENT;
	if (wrong)
		return option_refuse(diag, "-o ", entry, "%s", wrong);
	options->fsname |= fsname;
	options->remount |= remount;
	if (i < ARRAY_SIZE(words)) {
		options->flags &= ~words[i].clears;
		options->flags |= words[i].sets;
	}
	return subtype || remount ? 0 : append(&options->list, entry);
}
