/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "updates.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "generations.h"
#include "imgcore/diag.h"
#include "log.h"

struct queue {
	struct update *items;
	size_t count, size;
};

struct updates {
	struct generations *generations;
	pthread_mutex_t lock;
	struct queue queue;
	bool busy; /* a thread will look into the queue again */
	/* Of that thread alone: what was logged, if the last one failed. */
	char *told;
};

int updates_new(struct updates **ret_updates, struct generations *generations)
{
	struct updates *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->generations = generations;
	pthread_mutex_init(&u->lock, NULL);
	*ret_updates = u;
	return 0;
}

void updates_free(struct updates *updates)
{
	if (!updates)
		return;
	vec_free(&updates->queue);
	free(updates->told);
	pthread_mutex_destroy(&updates->lock);
	free(updates);
}

/* What follows from a state that lasts is said once, until it has ended. */
static void tell(struct updates *u, struct diag *diag, int err)
{
	_cleanup_free_ char *text = diag_format(diag, err);

	diag_clear(diag);
	if (text && u->told && strcmp(text, u->told) == 0)
		return;
	log_line("%s", text ? text : "out of memory");
	free(u->told);
	u->told = take_ptr(text);
}

/* The error as the user of the file system shall see it. */
static int shown_error(int err)
{
	return err == -EAGAIN || err == -ENOMEM ? -err : EIO;
}

static void answer_all(struct updates *u, const struct queue *batch)
{
	/* A repeated scan sets a reason even if it succeeds. */
	_cleanup_(diag_clear) struct diag diag = DIAG_INIT;
	struct served *newest;
	int r = generations_update(u->generations, &newest, &diag);

	if (r < 0) {
		tell(u, &diag, r);
		for (size_t i = 0; i < batch->count; i++)
			fuse_reply_err(batch->items[i].req, shown_error(r));
		return;
	}
	free(u->told);
	u->told = NULL;
	for (size_t i = 0; i < batch->count; i++) {
		const struct update *update = &batch->items[i];

		update->answer(update, generations_use(u->generations, newest));
	}
	generations_done(u->generations, newest);
}

/* The caller holds the lock; it is not held while anything is done. */
static void work(struct updates *u)
{
	while (u->queue.count) {
		struct queue batch = u->queue;

		u->queue = (struct queue){ 0 };
		pthread_mutex_unlock(&u->lock);
		answer_all(u, &batch);
		vec_free(&batch);
		pthread_mutex_lock(&u->lock);
	}
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
		work(updates);
		updates->busy = false;
	}
	pthread_mutex_unlock(&updates->lock);
	if (!slot)
		fuse_reply_err(update->req, ENOMEM);
}
