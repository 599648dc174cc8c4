/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_TERMINAL_H
#define RUN_TERMINAL_H

/* The terminal on standard input, as it was: QEMU sets it for the guest. */

#include <stdbool.h>
#include <termios.h>

struct terminal {
	bool is_one;
	struct termios settings;
	int flags; /* of the open file, which others share */
};

void terminal_save(struct terminal *ret_terminal);
void terminal_restore(const struct terminal *terminal);

#endif
