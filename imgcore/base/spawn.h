/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

/* Programs that do a part of the work, and what they print. */

#include <sys/types.h>

/*
 * Starts a program, which is looked for in PATH, with /dev/null as its input.
 * out, err: what becomes its standard output and standard error; -1: ours. It
 * is killed when the calling thread ends. The caller waits for it. 0 or a
 * negative errno: -ENOENT if there is no such program.
 */
int spawn_tool(const char *const *argv, int out, int err, pid_t *ret_pid);

/* Opens a file in memory for out or err; the descriptor or a negative errno. */
int spawn_output(const char *name);

/* What was printed to such a file, as one line; "" if that was nothing. */
#define SPAWN_MESSAGE_MAX 4096u
void spawn_message(int fd, char ret_message[SPAWN_MESSAGE_MAX]);

#endif
