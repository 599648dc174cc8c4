/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <stdlib.h>
#include <sys/mount.h>

#include "base/math.h"
#include "imgcore/diag.h"

#define FIELD(field) OPTION_FIELD(dirdisk_options, field)

const struct option_row dirdisk_rows[] = {
	{ "name", "NAME", "file name of the disk in MNT (disk.img)",
	  OPTION_FILE_NAME, FIELD(name), OPTION_SERVE },
	{ "start-timeout", "SECONDS",
	  "limit for a start that makes no progress (60); -1: none",
	  OPTION_LIMIT, FIELD(start_timeout), OPTION_SERVE },
	{ "pidfile", "FILE", "file with the process id of a mounted disk",
	  OPTION_TEXT, FIELD(pidfile), OPTION_SERVE },
	{ "private", NULL,
	  "mount on a new private directory, and print its path", OPTION_FLAG,
	  FIELD(private_mnt), OPTION_SERVE | OPTION_LINE_ONLY },
	{ NULL, NULL, "stay in the foreground", OPTION_FLAG, FIELD(foreground),
	  OPTION_SERVE | OPTION_LINE_ONLY, 'f' },
	{ NULL, NULL, "stay in the foreground, and show every FUSE request",
	  OPTION_FLAG, FIELD(debug), OPTION_SERVE | OPTION_LINE_ONLY, 'd' },
	{ 0 },
};

static const struct option_table tables[] = {
	{ options_rows, .offset = offsetof(struct dirdisk_options, disk) },
	{ dirdisk_rows },
	{ .add = mount_options_add,
	  .offset = offsetof(struct dirdisk_options, mount) },
};

const struct command dirdisk_command = {
	.usage = "dirdisk [options] SRC MNT",
	.about = "Shows the directory SRC as the bootable disk MNT/disk.img.",
	.notes =
		"SIZE: bytes, or with K, M, G, T. Every --name=value can be -o name=value.\n"
		"To end it: fusermount3 -u MNT",
	.unknown = "unknown option; dirdisk --help lists them",
	.tables = tables,
	.n_tables = ARRAY_SIZE(tables),
	.n_arguments = 2,
	.serves = true,
};

void dirdisk_options_init(struct dirdisk_options *ret_options)
{
	*ret_options = (struct dirdisk_options){
		.mount.flags = MS_NOSUID | MS_NODEV, /* FUSE's defaults */
		.name = "disk.img",
		.start_timeout = 60,
	};
	options_init(&ret_options->disk);
}

void dirdisk_options_clear(struct dirdisk_options *options)
{
	options_clear(&options->disk);
	free(options->mount.list);
	options->mount.list = NULL;
	option_rows_clear(dirdisk_rows, options);
}

int dirdisk_options_parse(struct dirdisk_options *ret_options, int argc,
			  char **argv, struct diag *diag)
{
	struct dirdisk_options options;
	struct command_line line;
	int r;

	dirdisk_options_init(&options);
	r = command_line_parse(&dirdisk_command, &options, &line, argc, argv,
			       diag);
	if (r < 0) {
		dirdisk_options_clear(&options);
		return r;
	}
	options.help = line.help;
	options.version = line.version;
	options.foreground |= options.debug;
	options.src = line.arguments[0];
	options.mnt = line.arguments[1];
	*ret_options = options;
	return 0;
}
