/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_DEADLINE_H
#define FS_DEADLINE_H

/* Time that passes, and waits that end. */

#include <stdint.h>
#include <sys/types.h>

/* Milliseconds since some moment; they do not run while the machine sleeps. */
int64_t now_ms(void);

/*
 * Waits for a child's end: its status in *ret_status, 0. -ETIMEDOUT: it has not
 * ended in that time, and goes on.
 */
int wait_child(pid_t pid, int timeout_ms, int *ret_status);

#endif
