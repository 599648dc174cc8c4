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

#include <stdbool.h>

struct diag_listener;

struct diag {
	char *path; /* what it is about; may be NULL */
	char *reason; /* one phrase, no full stop; may be NULL */
	const struct diag_listener *listener; /* the caller's; or NULL */
	int told; /* the first error that the listener was told of, or 0 */
};

/*
 * Somebody who wants to hear of all that is wrong, not of the first alone.
 * Where a function can go on without what failed, it then does (see diag_tell),
 * and what it makes in the end is good for finding more of that kind, nothing
 * else. err is 0 for what is no error, but may not be what a person expects.
 * Called by one thread at a time, not always the caller's, in the order in
 * which one thread alone would find it.
 */
struct diag_listener {
	void (*tell)(void *context, const struct diag *diag, int err);
	void *context;
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
 * What failed can be left out: if somebody listens, tells and clears what was
 * said, and returns 0. If not, and for -ENOMEM, returns err.
 *     r = diag_tell(diag, find(..., diag));
 */
int diag_tell(struct diag *diag, int err);
/* Tells of something that is no error, if somebody listens. */
void diag_note(struct diag *diag, const char *path, const char *reason);
static inline bool diag_has_listener(const struct diag *diag)
{
	return diag && diag->listener;
}
/* Hands what was said on to `to` (may be NULL), which keeps its listener. */
void diag_move(struct diag *to, struct diag *from);

/*
 * "path: reason" on one line, control characters and bytes that are not UTF-8
 * as \xNN. Falls back to strerror(-err) where nothing was said. The caller
 * frees the result; NULL when out of memory.
 */
char *diag_format(const struct diag *diag, int err);

/* Frees the strings; the diagnostic can be used again, by who listens too. */
void diag_clear(struct diag *diag);

#endif
