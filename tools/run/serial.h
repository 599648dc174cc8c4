/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_SERIAL_H
#define RUN_SERIAL_H

/*
 * Reads what a machine says on its serial line, as a person would: lines,
 * without carriage returns, control characters and terminals' escape sequences.
 * An escape sequence that puts the cursor somewhere else ends a line.
 *
 * It looks for a text of the user's, for a panic of the kernel and for GRUB's
 * giving up. Memory is bounded: a line of more than 16 KiB is looked at in
 * pieces that overlap by half of that.
 */

#include <stdbool.h>
#include <stddef.h>

struct diag;
struct serial;

enum serial_trouble {
	SERIAL_NO_TROUBLE,
	SERIAL_PANIC,
	SERIAL_GRUB,
};

/* expect: a POSIX extended regular expression; -EINVAL if it is none. */
int serial_new(struct serial **ret_serial, const char *expect,
	       struct diag *diag);
void serial_free(struct serial *serial);

/* Another machine starts; what was seen stays so. */
void serial_restart(struct serial *serial);

void serial_feed(struct serial *serial, const char *bytes, size_t len);
/*
 * The line stands as it is for a while, without an end: a prompt. Until then a
 * '$' of the expression does not fit there.
 */
void serial_rest(struct serial *serial);

/* The expected text came. */
bool serial_seen(const struct serial *serial);
/* The first trouble, and the line that says so. */
enum serial_trouble serial_trouble(const struct serial *serial,
				   const char **ret_line);

#endif
