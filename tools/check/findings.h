/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CHECK_FINDINGS_H
#define CHECK_FINDINGS_H

/* What was found, each once: a path (or an option) and what there is to say. */

#include <stddef.h>

struct diag;

struct finding {
	char *path; /* or NULL */
	char *reason;
};

struct findings {
	struct finding *items;
	size_t count, size;
};

/* 0 or -ENOMEM. err: where the diagnostic says nothing. */
int findings_add(struct findings *findings, const struct diag *diag, int err);
/* Leaves the first of each two that say the same. */
void findings_unite(struct findings *findings);
void findings_clear(struct findings *findings);

#endif
