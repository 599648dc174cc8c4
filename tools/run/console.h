/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_CONSOLE_H
#define RUN_CONSOLE_H

/*
 * What QEMU says on its serial line: it goes to the log, to the reader of the
 * line (serial.h) and to standard output.
 *
 * A call that may decide how it all ends returns the exit status, or
 * CONSOLE_GOES_ON.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_options;
struct serial;

#define CONSOLE_GOES_ON (-1)

/* Times are of deadline_now_ms(); 0: not set. */
struct console {
	const char *log; /* its name, or NULL */
	int log_fd;
	int fd; /* from QEMU, or -1 */
	bool at_end; /* of what comes from there */
	struct serial *serial; /* NULL: nothing is expected */
	int64_t rest_at; /* nothing has come until then */
	int64_t trouble_at; /* nor, until then, the text after trouble */
	int64_t trouble_until;
	/*
	 * Standard output, which may be slow, stopped, or gone: nothing waits
	 * for it.
	 */
	int out_fd; /* -1: gone */
	bool out_is_socket;
	bool in_line; /* what came last was no end of a line */
	size_t waiting; /* bytes that wait to be written */
	char bytes[65536];
};

/* Opens what it goes to; has said why if that fails. */
int console_open(struct console *console, const struct run_options *options);
void console_close(struct console *console);

/* Another QEMU starts, with this pipe, which it takes over. */
void console_start(struct console *console, int fd);
/* Whether console_read has something to do if there is something to read. */
bool console_reads(const struct console *console);
/* Reads what there is. */
int console_read(struct console *console);
/* QEMU has ended with this wait status, and all was read: its verdict. */
int console_verdict(struct console *console, int status);
/* Closes the pipe. */
void console_stop(struct console *console);

/* Does what is due by now. */
int console_time(struct console *console, int64_t now);
/* Writes what waits; events: of poll, for out_fd. */
int console_write(struct console *console, short events);

/* Writes nothing more. */
void console_drop(struct console *console);
/* On a terminal, a line of ours does not begin after the guest's prompt. */
void console_break(struct console *console);

#endif
