/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <sys/types.h>

/*
 * Starts a program, which is looked for in PATH, with /dev/null as its input.
 * It is killed when the calling thread ends. The caller waits for it. 0 or a
 * negative errno: -ENOENT if there is no such program.
 */
int spawn_tool(const char *const *argv, int out, int err, pid_t *ret_pid);

#endif
