/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "fs/options.h"

struct line_options {
	struct run_options run;
	struct dirdisk_options dirdisk; /* only checked, and handed on */
};

#define ROW(kind, field) \
	kind, OPTION_FIELD(line_options, run.field), OPTION_LINE_ONLY

static const struct option_row run_rows[] = {
	{ "expect", "REGEX", "end when the serial output matches this",
	  ROW(OPTION_ARGUMENT, expect) },
	{ "timeout", "TIME", "end after so many seconds (or 5m, 1h)",
	  ROW(OPTION_DURATION, timeout_ms) },
	{ "log", "FILE", "keep what the serial line said in a file",
	  ROW(OPTION_ARGUMENT, log) },
	/* With a value it is dirdisk's option. */
	{ "watch", NULL, "boot again when what boots has changed",
	  ROW(OPTION_FLAG, watch) | OPTION_BARE },
	{ "accel", "auto|kvm|tcg", "way to run the guest (auto)",
	  ROW(OPTION_CHOICE, accel) },
	{ "qemu", "PROGRAM", "QEMU to start (qemu-system-x86_64)",
	  ROW(OPTION_ARGUMENT, qemu) },
	{ "dirdisk", "PROGRAM", "dirdisk to start (the one beside this)",
	  ROW(OPTION_ARGUMENT, dirdisk) },
	{ "verbose", NULL, "show QEMU's command line",
	  ROW(OPTION_FLAG, verbose), 'v' },
	{ 0 },
};

static const struct option_table tables[] = {
	{ run_rows },
	{ options_rows, .offset = offsetof(struct line_options, dirdisk.disk),
	  .hand_on = true },
	{ dirdisk_rows, .offset = offsetof(struct line_options, dirdisk),
	  .hand_on = true },
	{ .add = mount_options_add,
	  .offset = offsetof(struct line_options, dirdisk.mount) },
};

const struct command run_command = {
	.usage = "dirdisk-run SRC [options] [-- QEMU arguments]",
	.about = "Boots the directory SRC in QEMU.",
	.notes =
		"All options of dirdisk are taken too: dirdisk --help lists them. Its --timeout,\n"
		"of the menu, is -o timeout=SECONDS here.\n"
		"Exit status: QEMU's; with --expect 0 seen, 1 not seen, 3 kernel panic, 4 GRUB\n"
		"error; 2 not started, 124 timed out.",
	.unknown =
		"unknown option; dirdisk-run --help lists them, and QEMU's go after --",
	.tables = tables,
	.n_tables = ARRAY_SIZE(tables),
	.n_arguments = 1,
	.rest = true,
	.serves = true,
};

int run_options_parse(struct run_options *ret_options, int argc, char **argv,
		      struct diag *diag)
{
	struct line_options options = {
		.run.qemu = "qemu-system-x86_64",
		.run.dirdisk = getenv("DIRDISK"),
	};
	struct run_options *run = &options.run;
	struct command_line line = { 0 };
	int r;

	dirdisk_options_init(&options.dirdisk);
	r = command_line_parse(&run_command, &options, &line, argc, argv, diag);
	run->help = line.help;
	run->version = line.version;
	run->src = line.arguments[0];
	run->qemu_arguments = line.rest;
	run->read_only = options.dirdisk.mount.flags & MS_RDONLY;
	if (r == 0 && run->src && !*run->src)
		r = option_refuse(diag, "", "SRC", "empty; give it a value");
	if (r == 0 && (!vec_push(&line.handed_on) ||
		       !(run->name = strdup(options.dirdisk.name))))
		r = -ENOMEM;
	if (r == 0) {
		run->disk_options = take_ptr(line.handed_on.items);
		line.handed_on.count = 0;
		*ret_options = *run;
	}
	command_line_clear(&line);
	dirdisk_options_clear(&options.dirdisk);
	return r;
}

void run_options_clear(struct run_options *options)
{
	for (char **word = options->disk_options; word && *word; word++)
		free(*word);
	free(options->disk_options);
	free(options->name);
	*options = (struct run_options){ 0 };
}
