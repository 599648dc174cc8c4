/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_OPTIONS_H
#define RUN_OPTIONS_H

/*
 * The command line: dirdisk-run SRC [options] [-- QEMU arguments]. Options that
 * are not its own are dirdisk's, and handed on.
 *
 * Errors: -EINVAL with a diagnostic, -ENOMEM. Strings point into argv but for
 * those that say so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;
struct diag;

enum accel {
	ACCEL_AUTO,
	ACCEL_KVM,
	ACCEL_TCG,
};

struct run_options {
	bool help;
	bool version;
	bool verbose;
	bool watch;
	bool read_only; /* the disk: -o ro */
	const char *src;
	const char *dirdisk; /* the program; NULL: is looked for */
	const char *qemu;
	const char *expect; /* NULL: nothing is */
	const char *log; /* NULL: none */
	int64_t timeout_ms; /* 0: none */
	enum accel accel;
	char **qemu_arguments; /* NULL behind the last */
	char **disk_options; /* of dirdisk, the same; the array is ours */
	char *name; /* of the disk; ours */
};

int run_options_parse(struct run_options *ret_options, int argc, char **argv,
		      struct diag *diag);
void run_options_clear(struct run_options *options);

extern const struct command run_command;

#endif
