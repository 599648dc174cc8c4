/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "child.h"
#include "console.h"
#include "ending.h"
#include "leash.h"
#include "options.h"
#include "qemu.h"
#include "say.h"
#include "serial.h"
#include "state.h"

static int start_qemu(struct machine *machine)
{
	const struct run_options *options = machine->options;
	_cleanup_(qemu_line_clear) struct qemu_line line = { 0 };
	_cleanup_close_ int out = -1;
	int ends[2];
	int r = qemu_line_make(&line, options, machine->disk, machine->kvm,
			       machine->terminal.is_one);

	if (r < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return r < 0 ? r : -errno;
	machine->serial_fd = ends[0];
	out = ends[1];
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	if (options->verbose)
		qemu_line_print(&line, stderr);
	return child_start(&machine->qemu_pid, &(struct child_options){
						       .argv = line.items,
						       .mark = machine->mark,
						       .mask = &machine->mask,
						       .death_signal = SIGKILL,
						       .in = -1,
						       .out = out,
						       .err = -1,
						       .keep = -1,
					       });
}

/* Once there is a disk, and an answer about KVM. */
void machine_boot(struct machine *machine)
{
	int r;

	if (!machine->ready || !machine->probed || machine->ending ||
	    machine->qemu_pid || machine->serial_fd >= 0)
		return;
	machine->again = machine->serial_over = machine->killed = false;
	machine->kill_at = 0;
	if (machine->serial)
		serial_restart(machine->serial);
	r = start_qemu(machine);
	if (r == 0)
		return;
	base_closep(&machine->serial_fd);
	machine->serial_fd = -1;
	say("%s: cannot be run: %s; install QEMU, or give --qemu=PROGRAM",
	    machine->options->qemu, strerror(-r));
	machine_end(machine, RUN_FAILED, 0);
}

void machine_boot_again(struct machine *machine, const char *why)
{
	if (machine->ending || machine->again || !machine->qemu_pid)
		return;
	console_break(machine);
	say("%s: booting again", why);
	machine->again = true;
	machine_stop_qemu(machine, SIGTERM);
}

/* One that the kernel cannot end yet waits for the disk, most likely. */
void machine_qemu_late(struct machine *machine)
{
	if (!machine->qemu_pid)
		return;
	kill(machine->qemu_pid, SIGKILL);
	if (machine->killed) {
		say("QEMU does not end; the disk is taken from it");
		machine_end(machine, RUN_FAILED, 0);
		machine->abandoned = true;
	}
	machine->killed = true;
	machine->kill_at = now_ms() + QEMU_PATIENCE_MS;
}

void machine_qemu_ended(struct machine *machine, int status)
{
	machine->qemu_pid = 0;
	machine->qemu_status = status;
	machine->kill_at = 0;
	if (machine->flush_until)
		machine->flush_until = now_ms() + FLUSH_MS;
	/* What it started goes with it, and the serial line has an end. */
	leash_kill(machine->mark);
	terminal_restore(&machine->terminal);
}
