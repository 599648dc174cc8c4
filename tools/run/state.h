/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_STATE_H
#define RUN_STATE_H

/* What the loop knows, and its parts with it. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper.h"
#include "output.h"
#include "run_code.h"
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

#endif
