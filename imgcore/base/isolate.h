/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_ISOLATE_H
#define BASE_ISOLATE_H

/*
 * Calls in a child process, for libraries that crash or loop when memory runs
 * out. The child has a copy of the caller's memory; it returns results in a
 * file or in shared memory (isolate_memory).
 */

#include <stddef.h>

/*
 * Runs the function in a child, and returns its result (0 or a negative errno),
 * or -ECHILD if the child crashed or did not end within 20 s. The child prints
 * nothing on standard error and leaves no core file.
 */
int isolate_run(int (*function)(void *context), void *context);

/* Zeroed memory shared with children; munmap frees it. NULL with errno. */
void *isolate_memory(size_t size);

#endif
