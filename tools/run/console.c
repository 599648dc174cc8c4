/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ending.h"
#include "imgcore/diag.h"
#include "options.h"
#include "say.h"
#include "serial.h"
#include "state.h"

/* A line without an end that stays as it is for so long is a prompt. */
#define REST_MS 300
/* The expected text may come behind trouble; what explains it does. */
#define TROUBLE_QUIET_MS 1000
#define TROUBLE_MS	 5000

/* ---- the log ---- */

static int open_log(struct machine *machine)
{
	const char *path = machine->options->log;

	if (!path)
		return 0;
	machine->log_fd = open(path,
			       O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY |
				       O_NONBLOCK | O_CLOEXEC,
			       0666);
	if (machine->log_fd >= 0)
		return 0;
	say("--log=%s: cannot be written: %s; give another file", path,
	    strerror(errno));
	return -errno;
}

static void log_failed(struct machine *machine)
{
	say("--log=%s: %s; what follows is missing there",
	    machine->options->log, strerror(errno));
	close(machine->log_fd);
	machine->log_fd = -1;
	machine_end(machine, RUN_FAILED, 0);
}

static void write_log(struct machine *machine, const char *bytes, size_t len)
{
	while (machine->log_fd >= 0 && len) {
		ssize_t n = write(machine->log_fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_failed(machine);
			return;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

int console_begin(struct machine *machine)
{
	const char *expect = machine->options->expect;
	struct diag diag = DIAG_INIT;
	int r = expect ? serial_new(&machine->serial, expect, &diag) : 0;

	if (r < 0) {
		say_diag(&diag, r);
		return r;
	}
	output_open(&machine->output);
	return open_log(machine);
}

void console_clear(struct machine *machine)
{
	base_closep(&machine->serial_fd);
	base_closep(&machine->log_fd);
	output_close(&machine->output);
	serial_free(machine->serial);
}

/* ---- what is looked for ---- */

void console_break(struct machine *machine)
{
	if (!machine->output.in_line || !isatty(STDERR_FILENO))
		return;
	console_write(machine);
	fputc('\n', stderr);
	machine->output.in_line = false;
}

static void say_trouble(struct machine *machine, enum serial_trouble trouble,
			const char *line)
{
	console_break(machine);
	if (trouble == SERIAL_PANIC)
		say("the kernel gave up: %s", line);
	else
		say("GRUB gave up: %s", line);
}

static void watch_trouble(struct machine *machine)
{
	const char *line;
	int64_t now = now_ms();

	if (serial_trouble(machine->serial, &line) == SERIAL_NO_TROUBLE)
		return;
	if (!machine->trouble_until)
		machine->trouble_until = now + TROUBLE_MS;
	machine->trouble_at = now + TROUBLE_QUIET_MS;
	if (machine->trouble_at > machine->trouble_until)
		machine->trouble_at = machine->trouble_until;
}

static void examine(struct machine *machine)
{
	if (machine->ending || !machine->serial)
		return;
	if (serial_seen(machine->serial))
		machine_end(machine, RUN_SEEN, 0);
	else
		watch_trouble(machine);
}

void console_rest(struct machine *machine)
{
	serial_rest(machine->serial);
	examine(machine);
}

/* With --expect, what QEMU's end means; without, its own status. */
static int verdict(struct machine *machine)
{
	enum serial_trouble trouble;
	const char *line;
	int status = machine->qemu_status;

	if (!machine->serial)
		return WIFSIGNALED(status) ? RUN_SIGNAL + WTERMSIG(status)
					   : WEXITSTATUS(status);
	if (serial_seen(machine->serial))
		return RUN_SEEN;
	trouble = serial_trouble(machine->serial, &line);
	if (trouble != SERIAL_NO_TROUBLE) {
		say_trouble(machine, trouble, line);
		return trouble == SERIAL_PANIC ? RUN_PANIC : RUN_GRUB_ERROR;
	}
	console_break(machine);
	say("QEMU ended, and what is expected did not come");
	return RUN_NOT_SEEN;
}

void console_trouble(struct machine *machine)
{
	machine_end(machine, verdict(machine), 0);
}

/* ---- the serial line ---- */

static void line_ended(struct machine *machine)
{
	close(machine->serial_fd);
	machine->serial_fd = -1;
	machine->rest_at = machine->trouble_at = machine->trouble_until = 0;
	if (machine->serial)
		serial_rest(machine->serial);
	if (!machine->again && !machine->ending)
		machine_end(machine, verdict(machine), 0);
}

static void take(struct machine *machine, const char *bytes, size_t len)
{
	int r;

	write_log(machine, bytes, len);
	if (machine->serial) {
		serial_feed(machine->serial, bytes, len);
		machine->rest_at = now_ms() + REST_MS;
		examine(machine);
	}
	r = machine->output_gone ? 0 : output_put(&machine->output, bytes, len);
	if (r < 0)
		console_gone(machine, r);
}

void console_read(struct machine *machine)
{
	char bytes[16384];
	size_t room = output_room(&machine->output);
	ssize_t n = read(machine->serial_fd, bytes,
			 room < sizeof(bytes) ? room : sizeof(bytes));

	if (n > 0)
		take(machine, bytes, (size_t)n);
	else if (n < 0 &&
		 (errno == EINTR || (errno == EAGAIN && machine->qemu_pid)))
		return;
	else if (!machine->qemu_pid)
		line_ended(machine);
	else
		machine->serial_over = true;
}

/* ---- standard output ---- */

void console_gone(struct machine *machine, int err)
{
	machine->output.len = 0;
	machine->output_gone = true;
	if (err == -EPIPE) {
		machine_end(machine, RUN_SIGNAL + SIGPIPE, 0);
	} else if (err == -EIO) {
		machine_end(machine, RUN_SIGNAL + SIGHUP, 0);
	} else {
		say("standard output: %s", strerror(-err));
		machine_end(machine, RUN_FAILED, 0);
	}
}

void console_write(struct machine *machine)
{
	int r = output_flush(&machine->output);

	if (r < 0)
		console_gone(machine, r);
}
