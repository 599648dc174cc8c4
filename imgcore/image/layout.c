/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/math.h"
#include "image/image-internal.h"
#include "imgcore/diag.h"

/*
 * The disk that parted makes of 200 MiB with `mkpart 1 20, mkpart 21 200`:
 *
 *     0        2048            38912   40960             391168   409600
 *     | MBR, GRUB | partition 1 | 1 MiB | partition 2 ...... | 9 MiB |
 */
#define FIRST_START (UINT64_C(2048) * SECTOR)
#define FIRST_SIZE  (UINT64_C(36864) * SECTOR)
#define SECOND_SIZE (UINT64_C(350208) * SECTOR)
#define DISK_SIZE   (UINT64_C(409600) * SECTOR)
#define GAP	    MEBIBYTE
#define MAX_SECTORS UINT32_MAX

/* Partition 1 as asked for, or as the article has it, or as it must be. */
static int choose_first(const struct image_options *options, uint64_t need,
			struct layout *l, struct diag *diag)
{
	l->partition[0].start = FIRST_START;
	l->partition[0].size = max_u64(FIRST_SIZE, round_up(need, MEBIBYTE));
	if (!options->boot_size)
		return 0;
	if (options->boot_size / SECTOR > MAX_SECTORS)
		return diag_set(
			diag, -EFBIG, "--boot-size",
			"a partition of %llu bytes; a disk with an MBR has less than 2 TiB",
			(unsigned long long)options->boot_size);
	if (options->boot_size < need)
		return diag_set(
			diag, -ENOSPC, "--boot-size",
			"%llu bytes are too few for /boot; %llu are needed",
			(unsigned long long)options->boot_size,
			(unsigned long long)round_up(need, MEBIBYTE));
	l->partition[0].size = round_up(options->boot_size, MEBIBYTE);
	return 0;
}

static uint64_t second_start(const struct layout *l)
{
	return l->partition[0].start + l->partition[0].size + GAP;
}

/* A disk of a size that was asked for: partition 2 takes the rest. */
static int fill_size(const struct image_options *options,
		     const uint64_t need[2], struct layout *l,
		     struct diag *diag)
{
	uint64_t second = round_up(need[1], MEBIBYTE);
	uint64_t end = round_down(options->size, MEBIBYTE);

	if (second_start(l) + second > end && !options->boot_size)
		l->partition[0].size = round_up(need[0], MEBIBYTE);
	if (second_start(l) + second > end)
		return diag_set(
			diag, -ENOSPC, "--size",
			"%llu bytes are too few for the tree; at least %llu are needed",
			(unsigned long long)options->size,
			(unsigned long long)(second_start(l) + second));
	l->partition[1].size = end - second_start(l);
	l->size = options->size;
	return 0;
}

static void grow_size(const uint64_t need[2], struct layout *l)
{
	uint64_t end;

	l->partition[1].size = max_u64(SECOND_SIZE,
				       round_up(need[1], MEBIBYTE));
	end = second_start(l) + l->partition[1].size;
	l->size = max_u64(DISK_SIZE, end + GAP);
}

const char *layout_cause(const struct image_options *options)
{
	if (options->size)
		return "--size";
	if (options->boot_size > FIRST_SIZE)
		return "--boot-size";
	if (options->free > SECOND_SIZE)
		return "--free";
	return options->src_path;
}

int layout_choose(const struct image_options *options, const uint64_t need[2],
		  struct layout *ret_layout, struct diag *diag)
{
	struct layout l = { 0 };
	int r = diag_tell(diag, choose_first(options, need[0], &l, diag));

	if (r < 0)
		return r;
	if (options->size) {
		r = diag_tell(diag, fill_size(options, need, &l, diag));
		if (r < 0)
			return r;
	} else {
		grow_size(need, &l);
	}
	l.partition[1].start = second_start(&l);
	if (l.size / SECTOR > MAX_SECTORS)
		return diag_set(
			diag, -EFBIG,
			options->size ? "--size" : options->src_path,
			"a disk of %llu bytes; one with an MBR has less than 2 TiB",
			(unsigned long long)l.size);
	*ret_layout = l;
	return 0;
}
