/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CHECK_OPTIONS_H
#define CHECK_OPTIONS_H

/* The command line: dirdisk-check [options] SRC. */

#include <stdbool.h>

#include "fs/options.h"

struct check_options {
	/* Of those that are not the library's, -o takes all, for fstab. */
	struct dirdisk_options dirdisk;
	bool json;
};

extern const struct command check_command;

#endif
