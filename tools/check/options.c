/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include "base/math.h"

static const struct option_row check_rows[] = {
	{ "json", NULL, "print the report as JSON, for programs", OPTION_FLAG,
	  OPTION_FIELD(check_options, json), OPTION_LINE_ONLY },
	{ 0 },
};

static const struct option_table tables[] = {
	{ options_rows,
	  .offset = offsetof(struct check_options, dirdisk.disk) },
	{ dirdisk_rows, .offset = offsetof(struct check_options, dirdisk) },
	{ .add = mount_options_add,
	  .offset = offsetof(struct check_options, dirdisk.mount) },
	{ check_rows },
};

const struct command check_command = {
	.usage = "dirdisk-check [options] SRC",
	.about =
		"Says what a disk of the directory SRC would boot, and all it could not hold.",
	.notes =
		"SIZE: bytes, or with K, M, G, T. Every --name=value can be -o name=value.\n"
		"Exit status: 0 it boots, 1 it does not, 2 wrong usage, 3 not checked",
	.unknown = "unknown option; dirdisk-check --help lists them",
	.tables = tables,
	.n_tables = ARRAY_SIZE(tables),
	.n_arguments = 1,
};
