/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "imgcore/diag.h"

int findings_add(struct findings *findings, const struct diag *diag, int err)
{
	struct finding *f = vec_push(findings);

	if (!f)
		return -ENOMEM;
	f->reason = strdup(diag->reason ? diag->reason : strerror(-err));
	if (diag->path)
		f->path = strdup(diag->path);
	return f->reason && (f->path || !diag->path) ? 0 : -ENOMEM;
}

static int compare_texts(const struct finding *a, const struct finding *b)
{
	int r = strcmp(a->path ? a->path : "", b->path ? b->path : "");

	return r ? r : strcmp(a->reason, b->reason);
}

static int compare_places(const void *a, const void *b)
{
	const struct finding *x = *(struct finding *const *)a;
	const struct finding *y = *(struct finding *const *)b;
	int r = compare_texts(x, y);

	return r ? r : (x > y) - (x < y);
}

static void finding_clear(struct finding *finding)
{
	free(finding->path);
	free(finding->reason);
	*finding = (struct finding){ 0 };
}

void findings_unite(struct findings *findings)
{
	size_t n = findings->count;
	struct finding **places = n > 1 ? calloc(n, sizeof(*places)) : NULL;
	size_t first = 0;
	size_t kept = 0;

	if (!places)
		return;
	for (size_t i = 0; i < n; i++)
		places[i] = &findings->items[i];
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1; i < n; i++)
		if (compare_texts(places[first], places[i]) == 0)
			finding_clear(places[i]);
		else
			first = i;
	free(places);
	for (size_t i = 0; i < n; i++)
		if (findings->items[i].reason)
			findings->items[kept++] = findings->items[i];
	findings->count = kept;
}

void findings_clear(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		finding_clear(&findings->items[i]);
	vec_free(findings);
}
