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
#include "base/memstream.h"

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

/* Bytes of the UTF-8 sequence at s, or 0 if it is none. */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0xc2   ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;
	uint32_t c = len ? s[0] & (0x7fu >> len) : 0;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (len &&
	    (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	/* C1 controls are controls too. */
	return len == 2 && c < 0xa0 ? 0 : len;
}

static void put_escaped(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t len = *s < 0x80 ? (*s >= 0x20 && *s != 0x7f)
				       : utf8_len(s);

		if (len == 0) {
			fprintf(f, "\\x%02x", *s++);
			continue;
		}
		fwrite(s, 1, len, f);
		s += len;
	}
}

char *diag_format(const struct diag *diag, int err)
{
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	char *text;

	if (!f)
		return NULL;
	if (diag && diag->path) {
		put_escaped(f, diag->path);
		fputs(": ", f);
	}
	put_escaped(f, diag && diag->reason ? diag->reason : strerror(-err));
	return memstream_close(&stream, &text, NULL) < 0 ? NULL : text;
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
