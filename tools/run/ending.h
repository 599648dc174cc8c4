/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_ENDING_H
#define RUN_ENDING_H

/* The end of it all, and of QEMU. */

struct machine;

/* What it may take to end when asked to. */
#define QEMU_PATIENCE_MS 5000
/*
 * What a reader of our output may take then; when QEMU ended by itself, it may
 * take all of its time.
 */
#define FLUSH_MS 1000

/* Ends it all, with this exit status if nothing else did before. */
void machine_end(struct machine *machine, int code, int signal);
/* Asks QEMU to end, if it runs. */
void machine_stop_qemu(struct machine *machine, int signal);

#endif
