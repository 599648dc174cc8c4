/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_APART_H
#define BASE_APART_H

/*
 * Calls in a child process, for libraries that crash or loop where they are
 * short of memory. The child sees all that there is at the call; what it is to
 * leave goes into a file or into memory that is shared (apart_memory).
 */

#include <stddef.h>

/*
 * Runs the function in a child: what it returned (0 or a negative errno), or
 * -ECHILD where the child crashed or was not done within 20 s. It says nothing
 * on standard error and leaves no core.
 */
int apart_run(int (*function)(void *context), void *context);

/* Zeroed memory that a child shares; munmap frees it. NULL: none, with errno.
 */
void *apart_memory(size_t size);

#endif
