/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

/*
 * The command line of dirdisk: dirdisk [options] SRC MNT. dirdisk-check takes
 * the same in a list of -o, dirdisk-run hands them on.
 *
 * Errors: -EINVAL with a diagnostic (the option as it was given, what is wrong
 * and what to do), -ENOMEM. src and mnt point into argv, the other strings
 * belong to the struct.
 * Threading: as for imgcore/command_line.h.
 */

#include <limits.h>
#include <stdbool.h>

#include "imgcore/command_line.h"
#include "imgcore/options.h"
#include "mount_options.h"

struct diag;

struct dirdisk_options {
	struct options disk;
	struct mount_options mount;

	bool help;
	bool version;
	bool foreground;
	bool private_mnt; /* mnt is a new directory of dirdisk's own */
	bool debug; /* foreground is set too */
	const char *src; /* neither is set with help or version */
	const char *mnt; /* NULL: was not given */

	char name[NAME_MAX + 1]; /* of the disk in mnt */
	int start_timeout; /* seconds without progress; -1: no limit */
	char *pidfile;
};

/* The defaults. */
void dirdisk_options_init(struct dirdisk_options *ret_options);
void dirdisk_options_clear(struct dirdisk_options *options);

int dirdisk_options_parse(struct dirdisk_options *ret_options, int argc,
			  char **argv, struct diag *diag);

extern const struct command dirdisk_command;
/* The rows that are not the library's; the last one is empty. */
extern const struct option_row dirdisk_rows[];

#endif
