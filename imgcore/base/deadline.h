/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

/* A clock for time limits, and waiting with one. */

#include <stdint.h>
#include <sys/types.h>

/* Milliseconds of CLOCK_MONOTONIC, which stops while the machine is suspended.
 */
int64_t deadline_now_ms(void);

/*
 * Waits for the end of a child: 0, and its status in *ret_status. -ETIMEDOUT:
 * it still runs.
 */
int deadline_wait_child(pid_t pid, int timeout_ms, int *ret_status);

#endif
