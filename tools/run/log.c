/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"

static void emit(const char *text)
{
	fprintf(stderr, "dirdisk-run: %s\n", text ? text : "out of memory");
}

void log_line(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *line = NULL;
	struct diag diag = DIAG_INIT;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	diag.reason = text;
	if (text)
		line = diag_format(&diag, 0);
	emit(line);
}

void log_diag(struct diag *diag, int err)
{
	_cleanup_free_ char *line = diag_format(diag, err);

	diag_clear(diag);
	emit(line);
}
