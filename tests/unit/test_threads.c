/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared work: each part is done once, by no more threads than there are cores.
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/threads.h"

#define PARTS 5000u

struct work {
	atomic_uint done[PARTS];
	atomic_uint at_once;
	atomic_uint most;
	atomic_uint unmasked; /* in threads that are not the caller's */
	pthread_t caller;
};

static void note_most(struct work *w)
{
	unsigned now = atomic_fetch_add(&w->at_once, 1) + 1;
	unsigned most = atomic_load(&w->most);

	while (now > most &&
	       !atomic_compare_exchange_weak(&w->most, &most, now))
		;
}

static void part(void *context, size_t i)
{
	struct work *w = context;
	sigset_t mask;

	note_most(w);
	atomic_fetch_add(&w->done[i], 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (!pthread_equal(pthread_self(), w->caller) &&
	    !sigismember(&mask, SIGTERM))
		atomic_fetch_add(&w->unmasked, 1);
	if (i % 100 == 0)
		usleep(100);
	atomic_fetch_sub(&w->at_once, 1);
}

static void each_part_is_done_once(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 3, 17, PARTS };

	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		struct work *w = calloc(1, sizeof(*w));

		assert_non_null(w);
		w->caller = pthread_self();
		threads_share(counts[c], part, w);
		for (size_t i = 0; i < PARTS; i++)
			assert_int_equal(w->done[i], i < counts[c]);
		assert_int_equal(w->at_once, 0);
		assert_true(w->most <= threads_cores());
		assert_int_equal(w->unmasked, 0);
		free(w);
	}
}

static void cores_are_those_we_may_use(void **state)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	assert_true(threads_cores() >= 1);
	assert_true(threads_cores() <= THREADS_MAX);
	assert_true((long)threads_cores() <= online);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_is_done_once),
		cmocka_unit_test(cores_are_those_we_may_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
