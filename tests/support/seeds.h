/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SUPPORT_SEEDS_H
#define SUPPORT_SEEDS_H

/*
 * The seed of a random test. DIRDISK_SEED is the seed of a whole run:
 * tools/test takes it from the commit, or from chance with --soak; unset, it
 * is drawn here. Each program mixes its own name in. support/seeds.py does the
 * same for Python.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* 32 bits; prints, as a TAP comment, what repeats the run. */
static inline uint64_t seed_draw(void)
{
	const char *text = getenv("DIRDISK_SEED");
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	uint32_t run;

	if (text && *text)
		run = (uint32_t)strtoull(text, NULL, 0);
	else if (getrandom(&run, sizeof(run), 0) != sizeof(run))
		abort();
	printf("# DIRDISK_SEED=%u repeats this run\n", run);
	fflush(stdout);
	for (int i = 0; i < 4; i++)
		hash = (hash ^ (run >> i * 8 & 0xff)) * UINT64_C(0x100000001b3);
	for (const char *p = program_invocation_short_name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return (hash ^ hash >> 32) & UINT32_MAX;
}

#endif
