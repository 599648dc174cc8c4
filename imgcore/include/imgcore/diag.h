/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_DIAG_H
#define IMGCORE_DIAG_H

/*
 * Describes a problem for the person who has to fix it: a path (or an option)
 * and a reason.
 *
 * Every function of the library that takes a `struct diag *` returns 0 or a
 * negative errno, and fills the diagnostic when it fails. The library never
 * prints; front ends call diag_format. A NULL diagnostic is allowed everywhere.
 *
 * Ownership: the strings belong to the diagnostic, diag_clear frees them.
 * Threading: one thread at a time.
 */

#include <stdbool.h>

struct diag_sink;

struct diag {
	char *path; /* what it is about; may be NULL */
	char *reason; /* one phrase, no full stop; may be NULL */
	const struct diag_sink *sink; /* the caller's; or NULL */
	int reported; /* the first error that the sink got, or 0 */
};

/*
 * If a diag has a sink, every problem is reported, not only the first: where a
 * function can leave out what failed, it reports it and goes on (diag_report).
 * Its result is then good for finding more problems, and for nothing else. err
 * is 0 for a notice: no error, but perhaps not what a person expects. report is
 * called by one thread at a time, not always the caller's, in the order in
 * which a single thread would find the problems.
 */
struct diag_sink {
	void (*report)(void *context, const struct diag *diag, int err);
	void *context;
};

#define DIAG_INIT \
	{         \
		0 \
	}

/*
 * Sets path and reason, and returns err, so that a failing call is one
 * statement:
 *     return diag_set(diag, -ENOENT, path, "no such file");
 * With reason_fmt NULL the reason is strerror(-err).
 */
int diag_set(struct diag *diag, int err, const char *path,
	     const char *reason_fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Reports a failure that can be left out: if there is a sink, reports and
 * clears the diagnostic, and returns 0. Without one, and for -ENOMEM, returns
 * err. r = diag_report(diag, find(..., diag));
 */
int diag_report(struct diag *diag, int err);
/* Reports something that is not an error, if there is a sink. */
void diag_notice(struct diag *diag, const char *path, const char *reason);
static inline bool diag_has_sink(const struct diag *diag)
{
	return diag && diag->sink;
}
/* Moves path and reason to `to` (may be NULL), which keeps its sink. */
void diag_move(struct diag *to, struct diag *from);

/*
 * Returns "path: reason" on one line; control characters and bytes that are not
 * UTF-8 are \xNN. Without a reason it is strerror(-err). The caller frees the
 * result; NULL when out of memory.
 */
char *diag_format(const struct diag *diag, int err);

/* Frees the strings; the diagnostic can be used again, and keeps its sink. */
void diag_clear(struct diag *diag);

#endif
