/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/overlay_budget.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/diag.h"

#define RESERVE	      (UINT64_C(256) << 20)
#define RESERVE_SHARE 20 /* a twentieth: 5 % */
/* Growth until the free space is read again: far below RESERVE. */
#define STEP (UINT64_C(4) << 20)

struct overlay_budget {
	int tmp_fd;
	uint64_t limit;
	atomic_bool reported;
	pthread_mutex_t lock; /* of all below */
	uint64_t used;
	uint64_t granted; /* by free space: what may be used, at least `used` */
};

int overlay_budget_new(struct overlay_budget **ret_budget, int tmp_fd,
		       uint64_t limit)
{
	struct overlay_budget *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->tmp_fd = fcntl(tmp_fd, F_DUPFD_CLOEXEC, 3);
	if (b->tmp_fd < 0) {
		int err = -errno;

		free(b);
		return err;
	}
	b->limit = limit;
	atomic_init(&b->reported, false);
	pthread_mutex_init(&b->lock, NULL);
	*ret_budget = b;
	return 0;
}

void overlay_budget_free(struct overlay_budget *budget)
{
	if (!budget)
		return;
	pthread_mutex_destroy(&budget->lock);
	close(budget->tmp_fd);
	free(budget);
}

static int take_of_limit(struct overlay_budget *b, uint64_t bytes,
			 struct diag *diag)
{
	if (bytes > b->limit - b->used)
		return diag_set(diag, -ENOSPC, OVERLAY_LIMIT_OPTION,
				"guests have written all that the limit allows "
				"(%" PRIu64 " bytes); give a larger SIZE",
				b->limit);
	b->used += bytes;
	return 0;
}

static int take_of_free_space(struct overlay_budget *b, uint64_t bytes,
			      struct diag *diag)
{
	struct statvfs st;
	uint64_t available, reserve, room;

	if (bytes <= b->granted - b->used) {
		b->used += bytes;
		return 0;
	}
	if (fstatvfs(b->tmp_fd, &st) < 0)
		return diag_set(diag, -errno, "TMPDIR",
				"its free space cannot be read: %s",
				strerror(errno));
	available = (uint64_t)st.f_bavail * st.f_frsize;
	reserve = max_u64(RESERVE, (available + b->used) / RESERVE_SHARE);
	room = available - min_u64(available, reserve);
	/* A file system without a size has no limit of its own. */
	if (st.f_blocks == 0)
		room = UINT64_MAX / 2;
	b->granted = b->used + min_u64(room, max_u64(bytes, STEP));
	if (bytes > room)
		return diag_set(diag, -ENOSPC, OVERLAY_LIMIT_OPTION,
				"TMPDIR has %" PRIu64
				" bytes free, and %" PRIu64
				" must stay free for other programs; free "
				"some, or give a SIZE or another TMPDIR",
				available, reserve);
	b->used += bytes;
	return 0;
}

int overlay_budget_take(struct overlay_budget *budget, uint64_t bytes,
			struct diag *diag)
{
	int r;

	pthread_mutex_lock(&budget->lock);
	r = budget->limit == OVERLAY_LIMIT_FREE_SPACE
		    ? take_of_free_space(budget, bytes, diag)
		    : take_of_limit(budget, bytes, diag);
	pthread_mutex_unlock(&budget->lock);
	return r;
}

void overlay_budget_give(struct overlay_budget *budget, uint64_t bytes)
{
	pthread_mutex_lock(&budget->lock);
	budget->used -= bytes;
	budget->granted -= min_u64(bytes, budget->granted);
	pthread_mutex_unlock(&budget->lock);
}

bool overlay_budget_report(struct overlay_budget *budget)
{
	return !atomic_exchange(&budget->reported, true);
}
