/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_MACHINE_INTERNAL_H
#define RUN_MACHINE_INTERNAL_H

/* What the loop knows, and the parts of it. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper.h"
#include "machine.h"
#include "output.h"
#include "terminal.h"
#include "watch.h"

struct run_options;
struct serial;

/* Times are of now_ms(); 0: not set. Process ids: 0: none. */
struct machine {
	const struct run_options *options;
	struct terminal terminal;
	struct keeper keeper;
	sigset_t mask; /* as we were started */
	int signals;
	char *disk; /* the path of disk.img */
	char *mark; /* of QEMU's processes */
	pid_t disk_pid;
	int64_t deadline; /* of it all */

	/* what waits until the disk is there, and for changes */
	pid_t watch_pid;
	int watch_fd;
	char text[WATCH_TEXT_LEN];
	size_t text_len;
	bool ready;

	/* whether KVM works */
	pid_t probe_pid;
	int64_t probe_end;
	bool probed;
	bool kvm;

	/* QEMU and its serial line */
	pid_t qemu_pid;
	int qemu_status;
	int64_t kill_at;
	bool killed; /* by force */
	bool abandoned; /* and yet it has not ended */
	bool again; /* it is ended to be started anew */
	int serial_fd;
	bool serial_over; /* QEMU has closed it */
	struct serial *serial; /* NULL: nothing is expected */
	int64_t rest_at;
	int64_t trouble_at;
	int64_t trouble_until;
	int log_fd;
	struct output output;
	bool output_gone;

	bool ending;
	bool forced; /* nothing is waited for any more */
	int64_t flush_until;
	int code;
};

/* Ends it all, with this exit status if nothing else did before. */
void machine_end(struct machine *machine, int code, int signal);

/* ---- accel.c: which accelerator ---- */

int accel_begin(struct machine *machine);
void accel_ended(struct machine *machine, int status);
/* KVM had its time. */
void accel_late(struct machine *machine);

/* ---- boot.c: QEMU's start and end ---- */

/* What it may take to end when asked to. */
#define QEMU_PATIENCE_MS 5000
/*
 * What a reader of our output may take then; when QEMU ended by itself, it may
 * take all of its time.
 */
#define FLUSH_MS 1000

/* Starts it once there is a disk, and an answer about KVM. */
void machine_boot(struct machine *machine);
/* Ends it, so that the next turn starts another. */
void machine_boot_again(struct machine *machine, const char *why);
void machine_stop_qemu(struct machine *machine, int signal);
/* It had its time to end. */
void machine_qemu_late(struct machine *machine);
void machine_qemu_ended(struct machine *machine, int status);

/* ---- console.c: what QEMU says ---- */

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
