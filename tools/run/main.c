/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dirdisk-run SRC: options, then a disk and a machine that boots it. */
#include <stdio.h>
#include <string.h>

#include "base/stdio_null.h"
#include "imgcore/command_line.h"
#include "imgcore/diag.h"
#include "log.h"
#include "machine.h"
#include "options.h"
#include "run_code.h"

static int run(const struct run_options *options)
{
	if (options->help)
		command_line_help(&run_command, stdout);
	else if (options->version)
		printf("dirdisk-run %s\n", VERSION);
	else
		return machine_run(options);
	return fflush(stdout) == 0 ? 0 : RUN_FAILED;
}

int main(int argc, char *argv[])
{
	struct run_options options = { 0 };
	struct diag diag = DIAG_INIT;
	int r = stdio_null_fill();
	int code;

	if (r < 0) {
		log_line("/dev/null: %s", strerror(-r));
		return RUN_FAILED;
	}
	r = run_options_parse(&options, argc, argv, &diag);
	if (r < 0) {
		log_diag(&diag, r);
		return RUN_FAILED;
	}
	code = run(&options);
	run_options_clear(&options);
	return code;
}
