/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_OVERLAY_H
#define UNIT_SUPPORT_OVERLAY_H

/* Overlays of small disks: what a guest writes, by one thread or by many. */

#include "support_image.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "imgcore/overlay.h"

DEFINE_CLEANUP(struct overlay, overlay_free)
#define _cleanup_overlay_ _cleanup_(overlay_freep)

#define BLOCK  4096u
#define MIB(n) (UINT64_C(n) << 20)

struct disk {
	struct image *image;
	struct overlay *overlay;
};

static inline void disk_release(struct disk *d)
{
	overlay_free(d->overlay);
	image_free(d->image);
}

#define _cleanup_disk_ _cleanup_(disk_release)

static inline void disk_init(struct disk *d, uint64_t size, int tmp_fd,
			     struct overlay_budget *budget)
{
	*d = (struct disk){ .image = image_of(size) };
	assert_ok(overlay_new(&d->overlay, d->image, tmp_fd, budget));
}

/* ---- threads ---- */

/* What a thread works on, and the negative errno it ends with. */
struct worker {
	struct disk *disk;
	unsigned number;
	uint64_t seed;
	void *context; /* of the test */
	int error;
	pthread_t thread;
};

static inline void start_worker(struct worker *w, void *(*run)(void *))
{
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

/* Waits for all; none of them may have failed. */
static inline void join_workers(struct worker *workers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < n; i++)
		if (workers[i].error)
			fail_msg("thread %u: %s", i,
				 strerror(-workers[i].error));
}

static inline void run_workers(struct worker *workers, unsigned n,
			       void *(*run)(void *))
{
	for (unsigned i = 0; i < n; i++)
		start_worker(&workers[i], run);
	join_workers(workers, n);
}

#endif
