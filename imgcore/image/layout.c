/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/layout.h"

#include <errno.h>

#include "base/math.h"
#include "image/table.h"
#include "imgcore/diag.h"

#define FIRST_START (UINT64_C(2048) * SECTOR)
#define DISK_SIZE   (UINT64_C(409600) * SECTOR)
#define GAP	    MEBIBYTE

/* A size that was asked for; the usual one with its reason if it cannot be. */
static int size_asked(struct layout_entry *e, struct diag *diag)
{
	if (e->asked / SECTOR > TABLE_MAX_SECTORS)
		return diag_set(
			diag, -EFBIG, e->option,
			"a partition of %llu bytes; a disk with an MBR has less than 2 TiB",
			(unsigned long long)e->asked);
	if (e->asked < e->need)
		return diag_set(
			diag, -ENOSPC, e->option,
			"%llu bytes are too few for %s; %llu are needed",
			(unsigned long long)e->asked, e->holds,
			(unsigned long long)round_up(e->need, MEBIBYTE));
	e->size = round_up(e->asked, MEBIBYTE);
	return 0;
}

/* Puts the partitions one after another; returns where the last one starts. */
static uint64_t place(struct layout_entry *entries, size_t n)
{
	uint64_t start = FIRST_START;

	for (size_t i = 0; i < n; i++) {
		entries[i].start = start;
		start += entries[i].size + GAP;
	}
	return entries[n - 1].start;
}

/* A disk of a size that was asked for. */
static int fill(struct layout_entry *entries, size_t n, uint64_t size,
		struct diag *diag)
{
	struct layout_entry *last = &entries[n - 1];
	uint64_t least = round_up(last->need, MEBIBYTE);
	uint64_t end = round_down(size, MEBIBYTE);

	for (size_t i = 0; i + 1 < n && last->start + least > end; i++) {
		if (entries[i].asked)
			continue;
		entries[i].size = round_up(entries[i].need, MEBIBYTE);
		place(entries, n);
	}
	if (last->start + least > end)
		return diag_set(
			diag, -ENOSPC, "--size",
			"%llu bytes are too few for the tree; at least %llu are needed",
			(unsigned long long)size,
			(unsigned long long)(last->start + least));
	last->size = end - last->start;
	return 0;
}

int layout_choose(struct layout_entry *entries, size_t n, uint64_t asked,
		  const char *cause, uint64_t *ret_size, struct diag *diag)
{
	const struct layout_entry *last = &entries[n - 1];
	uint64_t size = asked;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct layout_entry *e = &entries[i];

		e->size = max_u64(e->usual, round_up(e->need, MEBIBYTE));
		if (e->asked)
			r = diag_report(diag, size_asked(e, diag));
	}
	if (r < 0)
		return r;
	place(entries, n);
	if (asked)
		r = diag_report(diag, fill(entries, n, asked, diag));
	else
		size = max_u64(DISK_SIZE, last->start + last->size + GAP);
	if (r < 0)
		return r;
	if (size / SECTOR > TABLE_MAX_SECTORS)
		return diag_set(
			diag, -EFBIG, asked ? "--size" : cause,
			"a disk of %llu bytes; one with an MBR has less than 2 TiB",
			(unsigned long long)size);
	*ret_size = size;
	return 0;
}
