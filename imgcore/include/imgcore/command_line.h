/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_COMMAND_LINE_H
#define IMGCORE_COMMAND_LINE_H

/*
 * The command line of a program: its options are rows of tables. An option that
 * is not for the line only can also be given as -o key=value, for fstab; there
 * a comma in a value is written as "\,".
 *
 * Errors: -EINVAL with a diagnostic (the option as it was given, what is wrong
 * and what to do), -ENOMEM.
 * Threading: one thread at a time, since getopt_long(3) has global variables.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "imgcore/option_row.h"

struct option_table {
	const struct option_row *rows; /* the last one is empty; or NULL */
	/*
	 * Takes an entry of -o that is in no row: 0, -ENOENT if it is unknown,
	 * or -EINVAL with a diagnostic. NULL: there are none.
	 */
	int (*add)(void *target, const char *entry, struct diag *diag);
	size_t offset; /* of the target in the program's struct */
	bool hand_on; /* to another program; not in the help */
};

struct command {
	const char *usage; /* "PROGRAM [options] ARGUMENT" */
	const char *about; /* what it does: the help's first lines */
	const char *notes; /* the help's last lines */
	const char *unknown; /* what to do about an unknown option */
	/* Where two tables have a key, the first one counts. */
	const struct option_table *tables;
	size_t n_tables;
	size_t n_arguments; /* at most; the first one is required */
	bool rest; /* what follows "--" is not parsed */
	bool serves; /* takes rows with OPTION_SERVE on the line */
};

#define COMMAND_ARGUMENTS 2

struct command_line {
	bool help;
	bool version;
	const char *arguments[COMMAND_ARGUMENTS]; /* NULL: was not given */
	char **rest; /* of argv, up to its NULL */
	/* Options of tables with hand_on, as they are given to a program. */
	struct {
		char **items;
		size_t count, size;
	} handed_on;
};

/*
 * Parses argv into the fields of `target`, which has its defaults, and then
 * what the environment says. Options may follow arguments; argv is sorted.
 */
int command_line_parse(const struct command *command, void *target,
		       struct command_line *ret_line, int argc, char **argv,
		       struct diag *diag);
void command_line_clear(struct command_line *line);

/* Writes the text of --help. */
void command_line_help(const struct command *command, FILE *out);

#endif
