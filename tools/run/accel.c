/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "child.h"
#include "options.h"
#include "qemu.h"
#include "say.h"
#include "state.h"

/* What answers later is no faster than the translator. */
#define PROBE_MS 1000

static int start_probe(struct machine *machine)
{
	_cleanup_(qemu_line_clear) struct qemu_line line = { 0 };
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int sector = qemu_probe_sector();
	int r = sector < 0 ? sector
			   : qemu_line_probe(&line, machine->options, sector);

	if (r < 0)
		return r;
	machine->probe_end = now_ms() + PROBE_MS;
	return child_start(&machine->probe_pid, &(struct child_options){
							.argv = line.items,
							.mark = machine->mark,
							.mask = &machine->mask,
							.death_signal = SIGKILL,
							.in = null,
							.out = null,
							.err = null,
							.keep = sector,
							.session = true,
						});
}

int accel_begin(struct machine *machine)
{
	machine->kvm = machine->options->accel == ACCEL_KVM;
	machine->probed = machine->options->accel != ACCEL_AUTO ||
			  qemu_accel_given(machine->options);
	return machine->probed ? 0 : start_probe(machine);
}

static void decide(struct machine *machine, bool works, const char *reason)
{
	machine->probe_pid = 0;
	machine->probe_end = 0;
	machine->probed = true;
	machine->kvm = works;
	if (!works && access("/dev/kvm", R_OK | W_OK) == 0)
		say("KVM %s: using TCG; --accel=tcg does so at once", reason);
}

void accel_ended(struct machine *machine, int status)
{
	bool works = WIFEXITED(status) &&
		     WEXITSTATUS(status) == QEMU_PROBE_STATUS;

	decide(machine, works, "does not work here");
}

void accel_late(struct machine *machine)
{
	kill(machine->probe_pid, SIGKILL);
	child_wait(machine->probe_pid, 1000);
	decide(machine, false, "is too slow here");
}
