/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

/*
 * Work for several threads. None is left when a function returns, but for
 * those of threads_start, which the caller joins.
 */

#include <pthread.h>
#include <stddef.h>

/* More than this a tree or a plan has no use for. */
#define THREADS_MAX 16u

/* The cores that this process may run on, at most THREADS_MAX. */
unsigned threads_cores(void);

/*
 * Starts a thread that leaves signals to its caller's threads: 0 or a negative
 * errno.
 */
int threads_start(pthread_t *ret_thread, void *(*run)(void *context),
		  void *context);

/*
 * Calls job(context, i) once for each i below n: on as many threads as there
 * are cores, in no certain order, on the caller's alone where no other can be
 * had. A job says how it went through context.
 */
void threads_share(size_t n, void (*job)(void *context, size_t i),
		   void *context);

#endif
