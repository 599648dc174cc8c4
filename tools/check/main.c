/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dirdisk-check SRC: what a disk of the tree would boot, and all that is in the
 * way of making it. Writes nothing, mounts nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stdio_null.h"
#include "imgcore/diag.h"
#include "imgcore/source.h"
#include "options.h"
#include "report.h"

/* EXIT STATUS in dirdisk-check(1). */
enum {
	EXIT_BOOTS = 0,
	EXIT_BOOTS_NOT = 1,
	EXIT_USAGE = 2,
	EXIT_UNKNOWN = 3, /* nothing could be found out */
};

static int fail(struct diag *diag, int err, int code)
{
	_cleanup_free_ char *text = diag_format(diag, err);

	fprintf(stderr, "dirdisk-check: %s\n", text ? text : "out of memory");
	diag_clear(diag);
	return code;
}

/* What is printed counts only if it arrived. */
static int finish(int code)
{
	struct diag diag = DIAG_INIT;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	diag_set(&diag, -EIO, "standard output", "cannot be written to");
	return fail(&diag, -EIO, EXIT_UNKNOWN);
}

static int print(const struct check_options *options,
		 const struct report *report)
{
	struct diag diag = DIAG_INIT;
	int r = options->json ? report_print_json(report, stdout)
			      : report_print(report, stdout);

	if (r < 0)
		return fail(&diag, r, EXIT_UNKNOWN);
	return finish(report->verdict == VERDICT_BOOTS ? EXIT_BOOTS
						       : EXIT_BOOTS_NOT);
}

static int check(const struct check_options *options, const char *src)
{
	_cleanup_(report_clear) struct report report = { 0 };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *source = NULL;
	struct image_options image = options->dirdisk.disk.live.image;
	struct diag diag = DIAG_INIT;
	int r = source_open(src, &fd, &source, &diag);

	if (r < 0)
		return fail(&diag, r, EXIT_UNKNOWN);
	image.src_fd = fd;
	image.src_path = source;
	r = report_make(&report, &image, &diag);
	return r < 0 ? fail(&diag, r, EXIT_UNKNOWN) : print(options, &report);
}

static int run(const struct check_options *options,
	       const struct command_line *line)
{
	if (line->help) {
		command_line_help(&check_command, stdout);
		return finish(EXIT_BOOTS);
	}
	if (line->version) {
		printf("dirdisk-check %s\n", VERSION);
		return finish(EXIT_BOOTS);
	}
	return check(options, line->arguments[0]);
}

int main(int argc, char *argv[])
{
	struct check_options options = { 0 };
	struct command_line line = { 0 };
	struct diag diag = DIAG_INIT;
	int r = stdio_null_fill();
	int code;

	if (r < 0)
		return EXIT_UNKNOWN;
	dirdisk_options_init(&options.dirdisk);
	r = command_line_parse(&check_command, &options, &line, argc, argv,
			       &diag);
	code = r < 0 ? fail(&diag, r, EXIT_USAGE) : run(&options, &line);
	command_line_clear(&line);
	dirdisk_options_clear(&options.dirdisk);
	return code;
}
