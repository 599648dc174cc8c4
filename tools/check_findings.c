/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check_findings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "imgcore/boot.h"
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

/* ---- order ---- */

struct key {
	struct finding finding;
	const char *below; /* its path below the root; NULL: it has none */
	unsigned part;
	size_t depth;
	size_t number;
};

/* NULL: not below root. */
static const char *path_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (!path || strncmp(path, root, len) != 0)
		return NULL;
	path += len;
	if (*path && *path != '/' && len > 0 && root[len - 1] != '/')
		return NULL;
	return path + strspn(path, "/");
}

static size_t path_depth(const char *path)
{
	size_t depth = *path != '\0';

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

/* Which of the disk's trees a path is in, in the order they are scanned. */
static unsigned path_part(const char *below)
{
	static const char kernels[] = "kernels/";
	size_t len = strcspn(below, "/");

	if (len == 4 && strncmp(below, "boot", len) == 0)
		return 0;
	if (strncmp(below, kernels, strlen(kernels)) != 0)
		return 2;
	below += strlen(kernels);
	len = strcspn(below, "/");
	if (boot_is_archive(below, len))
		return 1;
	if (!below[len])
		return 2;
	below += len + 1;
	return boot_is_archive(below, strcspn(below, "/")) ? 1 : 2;
}

/* By bytes, name by name: the end of a name comes before all else. */
static int compare_names(const char *a, const char *b)
{
	for (; *a && *a == *b; a++)
		b++;
	if (*a == *b)
		return 0;
	if (*a == '/' || *b == '/')
		return *a == '\0' || (*a == '/' && *b != '\0') ? -1 : 1;
	return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a;
	const struct key *y = b;
	int r = 0;

	if (!x->below != !y->below)
		return x->below ? -1 : 1;
	if (x->below) {
		r = (x->part > y->part) - (x->part < y->part);
		if (r == 0)
			r = (x->depth > y->depth) - (x->depth < y->depth);
		if (r == 0)
			r = compare_names(x->below, y->below);
	}
	return r ? r : (x->number > y->number) - (x->number < y->number);
}

void findings_sort(struct findings *findings, size_t first, const char *root)
{
	size_t n = findings->count - first;
	struct key *keys = n > 1 ? calloc(n, sizeof(*keys)) : NULL;

	/* Without memory they stay as they are. */
	if (!keys)
		return;
	for (size_t i = 0; i < n; i++) {
		keys[i].finding = findings->items[first + i];
		keys[i].below = path_below(keys[i].finding.path, root);
		if (keys[i].below) {
			keys[i].depth = path_depth(keys[i].below);
			/* The root is scanned with each of them. */
			if (keys[i].depth > 0)
				keys[i].part = path_part(keys[i].below);
		}
		keys[i].number = i;
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		findings->items[first + i] = keys[i].finding;
	free(keys);
}

/* ---- what was said before ---- */

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
