/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

int diag_set(struct diag *diag, int err, const char *path,
	     const char *reason_fmt, ...)
{
	struct diag new = DIAG_INIT;
	va_list args;

	if (!diag)
		return err;
	/* The new texts may be made from the old ones. */
	new.sink = diag->sink;
	new.reported = diag->reported;
	if (path)
		new.path = strdup(path);
	if (reason_fmt) {
		va_start(args, reason_fmt);
		if (vasprintf(&new.reason, reason_fmt, args) < 0)
			new.reason = NULL;
		va_end(args);
	} else {
		new.reason = strdup(strerror(-err));
	}
	diag_clear(diag);
	*diag = new;
	return err;
}

int diag_report(struct diag *diag, int err)
{
	if (err >= 0 || err == -ENOMEM || !diag_has_sink(diag))
		return err;
	diag->sink->report(diag->sink->context, diag, err);
	if (!diag->reported)
		diag->reported = err;
	diag_clear(diag);
	return 0;
}

void diag_notice(struct diag *diag, const char *path, const char *reason)
{
	const struct diag note = { .path = (char *)path,
				   .reason = (char *)reason };

	if (diag_has_sink(diag))
		diag->sink->report(diag->sink->context, &note, 0);
}

void diag_move(struct diag *to, struct diag *from)
{
	if (!to) {
		diag_clear(from);
		return;
	}
	diag_clear(to);
	to->path = take_ptr(from->path);
	to->reason = take_ptr(from->reason);
}

char *diag_format(const struct diag *diag, int err)
{
	const char *path = diag ? diag->path : NULL;
	const char *reason = diag && diag->reason ? diag->reason
						  : strerror(-err);
	size_t size = ESCAPE_SIZE((path ? strlen(path) : 0) + strlen(": ") +
				  strlen(reason));
	_cleanup_free_ char *text = malloc(size);
	char *to = text;

	if (!text)
		return NULL;
	if (path)
		to = stpcpy(escape_to(to, path, ESCAPE_NON_UTF8), ": ");
	escape_to(to, reason, ESCAPE_NON_UTF8);
	return take_ptr(text);
}

void diag_clear(struct diag *diag)
{
	if (!diag)
		return;
	free(diag->path);
	free(diag->reason);
	diag->path = NULL;
	diag->reason = NULL;
}
