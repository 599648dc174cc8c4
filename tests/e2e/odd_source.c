/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * odd_source MNT: a file system that invents what no other has. Files whose
 * names say their change and modification times in seconds, and a file that
 * lists an extended attribute twice. Whoever looks for the file "waits" waits
 * until the server gets SIGCONT. In the foreground; ends with the mount.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fuse.h>

static const char *const names[] = {
	"0",	       "9223372036",	      "9223372037",
	"-9223372037", "9223372036854775807", "-9223372036854775808",
	"twice",
};

static const char twice[] = "user.same\0user.same\0user.other";

static bool is_there(const char *path)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(path + 1, names[i]) == 0)
			return true;
	return false;
}

static int odd_getattr(const char *path, struct stat *st,
		       struct fuse_file_info *info)
{
	if (strcmp(path, "/waits") == 0)
		raise(SIGSTOP);
	if (strcmp(path, "/") != 0 && !is_there(path))
		return -ENOENT;
	st->st_mode = path[1] ? S_IFREG | 0444 : S_IFDIR | 0555;
	st->st_nlink = 1;
	st->st_mtim.tv_sec = st->st_ctim.tv_sec = (time_t)strtoll(path + 1,
								  NULL, 10);
	st->st_mtim.tv_nsec = st->st_ctim.tv_nsec = 999999999;
	return 0;
}

static int odd_readdir(const char *path, void *buf, fuse_fill_dir_t fill,
		       off_t offset, struct fuse_file_info *info,
		       enum fuse_readdir_flags flags)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		fill(buf, names[i], NULL, 0, 0);
	return 0;
}

static int odd_listxattr(const char *path, char *list, size_t size)
{
	if (strcmp(path, "/twice") != 0)
		return 0;
	if (size > 0 && size < sizeof(twice))
		return -ERANGE;
	if (size > 0)
		memcpy(list, twice, sizeof(twice));
	return sizeof(twice);
}

static int odd_getxattr(const char *path, const char *name, char *value,
			size_t size)
{
	if (strcmp(path, "/twice") != 0)
		return -ENODATA;
	if (size > 0)
		memset(value, 'v', 1);
	return 1;
}

static const struct fuse_operations operations = {
	.getattr = odd_getattr,
	.readdir = odd_readdir,
	.listxattr = odd_listxattr,
	.getxattr = odd_getxattr,
};

int main(int argc, char **argv)
{
	char foreground[] = "-f";
	char *args[] = { argv[0], foreground, argv[1], NULL };

	return argc == 2 ? fuse_main(3, args, &operations, NULL) : 1;
}
