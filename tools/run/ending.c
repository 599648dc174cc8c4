/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ending.h"

#include <signal.h>

#include "base/deadline.h"
#include "state.h"

void machine_stop_qemu(struct machine *machine, int signal)
{
	if (!machine->qemu_pid)
		return;
	kill(machine->qemu_pid, signal);
	/* Stopped, it would not see it. */
	kill(machine->qemu_pid, SIGCONT);
	machine->kill_at = now_ms() + QEMU_PATIENCE_MS;
}

void machine_end(struct machine *machine, int code, int signal)
{
	if (machine->ending)
		return;
	machine->ending = true;
	machine->code = code;
	if (machine->qemu_pid)
		machine->flush_until = now_ms() + QEMU_PATIENCE_MS + FLUSH_MS;
	machine_stop_qemu(machine, signal ? signal : SIGTERM);
}
