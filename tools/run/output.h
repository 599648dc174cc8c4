/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_OUTPUT_H
#define RUN_OUTPUT_H

/*
 * Standard output, which may be slow, stopped, or gone: nothing here waits for
 * it.
 *
 * Errors: negative errno. -EPIPE: nobody reads any more; -EIO: the terminal is
 * gone.
 */

#include <stdbool.h>
#include <stddef.h>

struct output {
	int fd;
	bool own; /* fd is ours to close */
	bool is_socket;
	size_t len; /* that waits to be written */
	bool in_line; /* what came last was no end of a line */
	char bytes[65536];
};

void output_open(struct output *output);
void output_close(struct output *output);

/* How many bytes it takes now. */
size_t output_room(const struct output *output);
/* Takes so many, and writes what goes. */
int output_put(struct output *output, const char *bytes, size_t len);
/* Writes what goes. */
int output_flush(struct output *output);

#endif
