/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_CONSOLE_H
#define RUN_CONSOLE_H

/* What QEMU says on its serial line. */

struct machine;

/* Opens what it goes to; has said why if that fails. */
int console_begin(struct machine *machine);
void console_clear(struct machine *machine);
/* Reads what there is; behind QEMU's end, to the end. */
void console_read(struct machine *machine);
/* Nothing came for a while. */
void console_rest(struct machine *machine);
/* Trouble was seen, and the expected text not even now. */
void console_trouble(struct machine *machine);
void console_write(struct machine *machine);
/* On a terminal, a line of ours does not begin behind the guest's prompt. */
void console_break(struct machine *machine);
/* Standard output, or the terminal, is gone. */
void console_gone(struct machine *machine, int err);

#endif
