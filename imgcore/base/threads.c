/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/threads.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/math.h"

unsigned threads_cores(void)
{
	cpu_set_t set;

	/* -EINVAL where there are more than a set holds: plenty. */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return THREADS_MAX;
	return (unsigned)min_u64((uint64_t)CPU_COUNT(&set), THREADS_MAX);
}

int threads_start(pthread_t *ret_thread, void *(*run)(void *context),
		  void *context)
{
	sigset_t all;
	sigset_t before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

struct share {
	atomic_size_t next;
	size_t n;
	void (*job)(void *context, size_t i);
	void *context;
};

static void *share_work(void *context)
{
	struct share *share = context;
	size_t i;

	while ((i = atomic_fetch_add(&share->next, 1)) < share->n)
		share->job(share->context, i);
	return NULL;
}

void threads_share(size_t n, void (*job)(void *context, size_t i),
		   void *context)
{
	struct share share = { .n = n, .job = job, .context = context };
	size_t more = min_u64(n, threads_cores());
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;

	while (started + 1 < more &&
	       threads_start(&threads[started], share_work, &share) == 0)
		started++;
	share_work(&share);
	while (started > 0)
		pthread_join(threads[--started], NULL);
}
