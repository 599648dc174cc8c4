/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "generations.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "disk.h"
#include "imgcore/diag.h"
#include "imgcore/live.h"

struct served {
	uint64_t number;
	struct disk *disk;
	uint64_t lookups; /* that the kernel has not forgotten */
	uint64_t uses;
};

struct generations {
	struct live *live;
	int tmp_fd;
	struct overlay_budget *budget;
	pthread_mutex_t lock; /* of all below */
	/* By number; the last is the newest, and always there. */
	struct {
		struct served **items;
		size_t count, size;
	} served;
};

DEFINE_CLEANUP(struct generation, generation_unref)

/*
 * The pages go back as well: those of a large tree lie between others', and the
 * next generation may be long in coming.
 */
static void served_free(struct served *served)
{
	if (!served)
		return;
	disk_free(served->disk);
	free(served);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

struct disk *served_disk(const struct served *served)
{
	return served->disk;
}

uint64_t served_node(const struct served *served)
{
	return GENERATIONS_NODE + served->number;
}

/* ---- the table; the caller holds the lock ---- */

static struct served *newest(const struct generations *g)
{
	return g->served.items[g->served.count - 1];
}

/* The place of the first that is not older than `number`. */
static size_t lower_bound(const struct generations *g, uint64_t number)
{
	size_t low = 0;
	size_t high = g->served.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->served.items[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct served *find(const struct generations *g, uint64_t number)
{
	size_t i = lower_bound(g, number);

	if (i == g->served.count || g->served.items[i]->number != number)
		return NULL;
	return g->served.items[i];
}

static struct served *use(struct served *served)
{
	served->uses++;
	return served;
}

/* Takes it off the table if nothing holds it there; the caller frees it. */
static struct served *drop_unused(struct generations *g, struct served *served)
{
	size_t i;

	if (served->uses || served->lookups || served == newest(g))
		return NULL;
	i = lower_bound(g, served->number);
	memmove(&g->served.items[i], &g->served.items[i + 1],
		(g->served.count - i - 1) * sizeof(*g->served.items));
	g->served.count--;
	return served;
}

/* ---- the newest ---- */

static int make_served(struct generations *g, struct generation *generation,
		       struct served **ret_served)
{
	struct served *served = calloc(1, sizeof(*served));
	int r;

	if (!served)
		return -ENOMEM;
	r = disk_new(&served->disk, generation, g->tmp_fd, g->budget);
	if (r < 0) {
		free(served);
		return r;
	}
	served->number = generation_number(generation);
	*ret_served = served;
	return 0;
}

/*
 * Puts it at the end of the table, which takes it over on success. ret_old: the
 * one that was there, if that is to be freed.
 */
static int append(struct generations *g, struct served *served,
		  struct served **ret_old)
{
	struct served *old = g->served.count ? newest(g) : NULL;
	struct served **slot = vec_push(&g->served);

	if (!slot)
		return -ENOMEM;
	*slot = served;
	if (old) {
		/* A chmod or chown was meant for the file of that name. */
		disk_inherit(served->disk, old->disk);
		*ret_old = drop_unused(g, old);
	}
	return 0;
}

/*
 * The disk of a generation. Of two threads that come with two, the later may
 * have the earlier one: then the other's is as good, being younger still.
 */
static int show(struct generations *g, struct generation *generation,
		struct served **ret_served)
{
	struct served *served = NULL;
	struct served *spare = NULL; /* freed without the lock */
	int r = 0;

	pthread_mutex_lock(&g->lock);
	if (!g->served.count ||
	    newest(g)->number < generation_number(generation)) {
		r = make_served(g, generation, &served);
		if (r == 0)
			r = append(g, served, &spare);
		if (r < 0)
			spare = served;
	}
	if (r == 0)
		*ret_served = use(newest(g));
	pthread_mutex_unlock(&g->lock);
	served_free(spare);
	return r;
}

int generations_update(struct generations *generations,
		       struct served **ret_served, struct diag *diag)
{
	_cleanup_(generation_unrefp) struct generation *generation = NULL;
	int r = live_newest(generations->live, &generation, diag);

	if (r < 0)
		return r;
	return show(generations, generation, ret_served);
}

int generations_new(struct generations **ret_generations, struct live *live,
		    int tmp_fd, struct overlay_budget *budget,
		    struct diag *diag)
{
	struct generations *g = calloc(1, sizeof(*g));
	struct served *first;
	int r;

	if (!g)
		return -ENOMEM;
	g->live = live;
	g->tmp_fd = tmp_fd;
	g->budget = budget;
	pthread_mutex_init(&g->lock, NULL);
	r = generations_update(g, &first, diag);
	if (r < 0) {
		generations_free(g);
		return r;
	}
	generations_done(g, first);
	*ret_generations = g;
	return 0;
}

void generations_free(struct generations *generations)
{
	if (!generations)
		return;
	for (size_t i = 0; i < generations->served.count; i++)
		served_free(generations->served.items[i]);
	vec_free(&generations->served);
	pthread_mutex_destroy(&generations->lock);
	free(generations);
}

/* ---- who holds what ---- */

bool generations_is_newest(struct generations *generations,
			   const struct served *served)
{
	bool is;

	pthread_mutex_lock(&generations->lock);
	is = served == newest(generations);
	pthread_mutex_unlock(&generations->lock);
	return is;
}

struct served *generations_newest(struct generations *generations)
{
	struct served *served;

	pthread_mutex_lock(&generations->lock);
	served = use(newest(generations));
	pthread_mutex_unlock(&generations->lock);
	return served;
}

struct served *generations_of_node(struct generations *generations,
				   uint64_t node)
{
	struct served *served;

	if (node <= GENERATIONS_NODE)
		return NULL;
	pthread_mutex_lock(&generations->lock);
	served = find(generations, node - GENERATIONS_NODE);
	if (served)
		use(served);
	pthread_mutex_unlock(&generations->lock);
	return served;
}

struct served *generations_use(struct generations *generations,
			       struct served *served)
{
	pthread_mutex_lock(&generations->lock);
	use(served);
	pthread_mutex_unlock(&generations->lock);
	return served;
}

void generations_done(struct generations *generations, struct served *served)
{
	struct served *unused;

	pthread_mutex_lock(&generations->lock);
	served->uses--;
	unused = drop_unused(generations, served);
	pthread_mutex_unlock(&generations->lock);
	served_free(unused);
}

void generations_looked_up(struct generations *generations,
			   struct served *served)
{
	pthread_mutex_lock(&generations->lock);
	served->lookups++;
	pthread_mutex_unlock(&generations->lock);
}

void generations_forget(struct generations *generations, uint64_t node,
			uint64_t count)
{
	struct served *unused = NULL;
	struct served *served;

	if (node <= GENERATIONS_NODE)
		return;
	pthread_mutex_lock(&generations->lock);
	served = find(generations, node - GENERATIONS_NODE);
	if (served) {
		served->lookups -= min_u64(count, served->lookups);
		unused = drop_unused(generations, served);
	}
	pthread_mutex_unlock(&generations->lock);
	served_free(unused);
}
