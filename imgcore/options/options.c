/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/options.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "imgcore/overlay_budget.h"
#include "imgcore/paths.h"

#define FIELD(field) OPTION_FIELD(options, field)
#define IMAGE(field) FIELD(live.image.field)
#define BOOT(field)  FIELD(live.image.boot.field)

/* The words of a choice are in the order of its enum's values. */
/* clang-format off */
const struct option_row options_rows[] = {
	{ "size", "SIZE", "size of the disk",
	  OPTION_SECTORS, IMAGE(size) },
	{ "boot-size", "SIZE", "size of partition 1",
	  OPTION_SECTORS, IMAGE(boot_size) },
	{ "free", "SIZE", "free space for the guest on partition 2 (16M)",
	  OPTION_SIZE, IMAGE(free) },
	{ "overlay-limit", "SIZE",
	  "limit for what guests write (TMPDIR's free space, less a reserve)",
	  OPTION_SIZE, FIELD(overlay_limit), OPTION_SERVE },
	{ "uuid", "UUID",
	  "UUID of the file system on partition 2 (computed from the tree)",
	  OPTION_UUID, IMAGE(uuid) },
	{ "append", "TEXT", "words to add to the kernels' command lines",
	  OPTION_LINE, BOOT(append) },
	{ "timeout", "SECONDS", "time that the menu waits (2); -1: for ever",
	  OPTION_SECONDS, BOOT(timeout) },
	{ "default", "NAME",
	  "kernel that starts by itself, by name or version",
	  OPTION_LINE, BOOT(default_entry) },
	{ "order", "version|mtime", "order of the kernels in the menu (version)",
	  OPTION_CHOICE, BOOT(order) },
	{ "console", "both|serial|vga",
	  "console of GRUB and of the kernels (both)",
	  OPTION_CHOICE, BOOT(console) },
	{ "owner", "keep|root|UID:GID", "owner of all files (keep)",
	  OPTION_OWNER, IMAGE(scan) },
	{ "unreadable", "error|skip",
	  "effect of a file that cannot be read (error)",
	  OPTION_CHOICE, IMAGE(scan.unreadable) },
	{ "xattrs", "keep|none|user",
	  "extended attributes and ACLs that files have (keep)",
	  OPTION_CHOICE, IMAGE(scan.xattrs) },
	{ "stale", "fail|serve",
	  "effect of a read of a file that has changed (fail)",
	  OPTION_CHOICE, IMAGE(serve_stale), OPTION_SERVE },
	{ "watch", "auto|none",
	  "way to find changes: inotify, or a scan at each open (auto)",
	  OPTION_CHOICE, FIELD(live.no_watch), OPTION_SERVE },
	{ "no-follow", NULL, "show links of kernels/ out of SRC as links",
	  OPTION_NULL, IMAGE(scan.follow) },
	{ "cross-mounts", NULL, "include what is mounted below SRC",
	  OPTION_FLAG, IMAGE(scan.cross_mounts) },
	{ "grub-dir", "DIR",
	  "directory of GRUB's boot.img and modules (the installed one)",
	  OPTION_TEXT, BOOT(grub_dir) },
	{ "core-image", "FILE", "GRUB's core.img (made by grub-mkimage)",
	  OPTION_TEXT, BOOT(core_image) },
	{ "no-grub", NULL, "make a disk without a boot loader",
	  OPTION_FLAG, BOOT(no_grub) },
	{ "SOURCE_DATE_EPOCH", "SECONDS", "latest time that files show",
	  OPTION_EPOCH, IMAGE(scan), OPTION_ENVIRONMENT },
	{ 0 },
};
/* clang-format on */

void options_init(struct options *ret_options)
{
	*ret_options = (struct options){
		.live.image = {
			.src_fd = -1,
			.scan.follow = PATH_KERNELS,
			.free = 16 * MEBIBYTE,
			.boot.timeout = 2,
		},
		.overlay_limit = OVERLAY_LIMIT_FREE_SPACE,
	};
}

void options_clear(struct options *options)
{
	option_rows_clear(options_rows, options);
}

int options_set(struct options *options, const char *key, const char *value,
		struct diag *diag)
{
	for (const struct option_row *row = options_rows; row->key; row++) {
		if (strcmp(row->key, key) == 0)
			return option_row_set(row, options, "", value, diag);
	}
	return option_refuse(diag, "", key, "unknown option");
}
