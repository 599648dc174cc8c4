/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "updates.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "disks.h"
#include "imgcore/diag.h"
#include "log.h"

struct queue {
	struct update *items;
	size_t count, size;
};

struct updates {
	struct disks *disks;
	pthread_mutex_t lock;
	struct queue queue;
	bool busy; /* a thread works on the queue */
	/* Of that thread alone: what was logged, if the last update failed. */
	char *reported;
};

int updates_new(struct updates **ret_updates, struct disks *disks)
{
	struct updates *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->disks = disks;
	pthread_mutex_init(&u->lock, NULL);
	*ret_updates = u;
	return 0;
}

void updates_free(struct updates *updates)
{
	if (!updates)
		return;
	vec_free(&updates->queue);
	free(updates->reported);
	pthread_mutex_destroy(&updates->lock);
	free(updates);
}

static void answer(struct updates *u, const struct queue *queue)
{
	/* A repeated scan sets a reason even if it succeeds. */
	_cleanup_(diag_clear) struct diag diag = DIAG_INIT;
	_cleanup_free_ char *text = NULL;
	struct disk *newest = NULL;
	int r = disks_update(u->disks, &newest, &diag);

	/* A problem that lasts is logged once. */
	if (r < 0) {
		text = diag_format(&diag, r);
		if (!text || !u->reported || strcmp(text, u->reported) != 0)
			log_line("%s", text ? text : "out of memory");
	}
	free(u->reported);
	u->reported = take_ptr(text);
	for (size_t i = 0; i < queue->count; i++) {
		const struct update *update = &queue->items[i];

		if (r == 0)
			update->answer(update, disk_get(newest));
		else
			fuse_reply_err(update->req,
				       r == -EAGAIN || r == -ENOMEM ? -r : EIO);
	}
	if (newest)
		disk_put(newest);
}

void updates_request(struct updates *updates, const struct update *update)
{
	struct update *slot;

	pthread_mutex_lock(&updates->lock);
	slot = vec_push(&updates->queue);
	if (slot)
		*slot = *update;
	if (!updates->busy) {
		updates->busy = true;
		while (updates->queue.count) {
			struct queue queue = updates->queue;

			updates->queue = (struct queue){ 0 };
			pthread_mutex_unlock(&updates->lock);
			answer(updates, &queue);
			vec_free(&queue);
			pthread_mutex_lock(&updates->lock);
		}
		updates->busy = false;
	}
	pthread_mutex_unlock(&updates->lock);
	if (!slot)
		fuse_reply_err(update->req, ENOMEM);
}
