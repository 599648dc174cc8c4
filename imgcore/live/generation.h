/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIVE_GENERATION_H
#define LIVE_GENERATION_H

#include <stdatomic.h>
#include <time.h>

#include "imgcore/live.h"

struct generation {
	atomic_uint refs;
	struct image *image;
	uint64_t number;
	struct timespec time;
	char *reason;
};

/* Takes over image and reason on success; -ENOMEM. */
int generation_new(struct generation **ret_generation, struct image *image,
		   uint64_t number, const struct timespec *time, char *reason);

#endif
