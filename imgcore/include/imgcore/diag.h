/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_DIAG_H
#define IMGCORE_DIAG_H

/*
 * What went wrong, for the person who has to mend it: a path (or an option)
 * and a reason.
 *
 * Every function of the library that takes a `struct diag *` returns 0 or a
 * negative errno, and fills the diagnostic when it fails. The library never
 * prints; front ends call diag_format. A NULL diagnostic is allowed everywhere.
 *
 * Ownership: the strings belong to the diagnostic, diag_clear frees them.
 * Threading: one thread at a time.
 */

struct diag {
	char *path; /* what it is about; may be NULL */
	char *reason; /* one phrase, no full stop; may be NULL */
};

#define DIAG_INIT \
	{         \
		0 \
	}

/*
 * Says why, and returns err, so that a failing call is one statement:
 *     return diag_set(diag, -ENOENT, path, "no such file");
 * With reason_fmt NULL the reason is strerror(-err).
 */
int diag_set(struct diag *diag, int err, const char *path,
	     const char *reason_fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * "path: reason" on one line, control characters and bytes that are not UTF-8
 * as \xNN. Falls back to strerror(-err) where nothing was said. The caller
 * frees the result; NULL when out of memory.
 */
char *diag_format(const struct diag *diag, int err);

/* Frees the strings; the diagnostic can be used again. */
void diag_clear(struct diag *diag);

#endif
