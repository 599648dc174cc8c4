/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "imgcore/diag.h"
#include "log.h"
#include "options.h"
#include "run_code.h"
#include "serial.h"

/* A line without an end that stays as it is for so long is a prompt. */
#define REST_MS 300
/* The expected text may come after trouble; what explains it does. */
#define TROUBLE_QUIET_MS 1000
#define TROUBLE_MS	 5000
/* What a pipe that can be written to at all takes without making us wait. */
#define PIECE 4096u

/*
 * Others write to the same open file, and must not find it set not to block:
 * terminals and pipes are opened once more. A regular file does not block.
 */
static void open_output(struct console *console)
{
	struct stat st;
	int fd = -1;

	console->out_fd = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st) < 0)
		return;
	console->out_is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/1",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		console->out_fd = fd;
}

int console_open(struct console *console, const struct run_options *options)
{
	struct diag diag = DIAG_INIT;
	int r = options->expect
			? serial_new(&console->serial, options->expect, &diag)
			: 0;

	open_output(console);
	if (r < 0) {
		log_diag(&diag, r);
		return r;
	}
	console->log = options->log;
	if (!console->log)
		return 0;
	console->log_fd = open(console->log,
			       O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY |
				       O_NONBLOCK | O_CLOEXEC,
			       0666);
	if (console->log_fd >= 0)
		return 0;
	r = -errno;
	log_line("--log=%s: cannot be written: %s; give another file",
		 console->log, strerror(-r));
	return r;
}

void console_close(struct console *console)
{
	console_stop(console);
	base_closep(&console->log_fd);
	console_drop(console);
	serial_free(console->serial);
}

void console_drop(struct console *console)
{
	if (console->out_fd != STDOUT_FILENO)
		base_closep(&console->out_fd);
	console->out_fd = -1;
	console->waiting = 0;
}

void console_start(struct console *console, int fd)
{
	console->fd = fd;
	console->at_end = false;
	if (console->serial)
		serial_restart(console->serial);
}

void console_stop(struct console *console)
{
	base_closep(&console->fd);
	console->fd = -1;
	console->rest_at = console->trouble_at = console->trouble_until = 0;
	if (console->serial)
		serial_rest(console->serial);
}

/* ---- standard output ---- */

/* Writes what goes: 0 or a negative errno. */
static int flush(struct console *console)
{
	while (console->waiting) {
		struct pollfd fd = { console->out_fd, POLLOUT, 0 };
		size_t len = console->waiting < PIECE ? console->waiting
						      : PIECE;
		ssize_t n;

		if (poll(&fd, 1, 0) != 1)
			return 0;
		n = console->out_is_socket ? send(fd.fd, console->bytes, len,
						  MSG_DONTWAIT | MSG_NOSIGNAL)
					   : write(fd.fd, console->bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		console->waiting -= (size_t)n;
		memmove(console->bytes, console->bytes + n, console->waiting);
	}
	return 0;
}

int console_write(struct console *console, short events)
{
	bool hung_up = (events & POLLHUP) && !console->out_is_socket;
	int r;

	if (console->out_fd < 0)
		return CONSOLE_GOES_ON;
	if (events & (POLLERR | POLLHUP))
		r = hung_up ? -EIO : -EPIPE;
	else
		r = flush(console);
	if (r == 0)
		return CONSOLE_GOES_ON;
	console_drop(console);
	if (r == -EPIPE)
		return RUN_SIGNAL + SIGPIPE;
	if (r == -EIO)
		return RUN_SIGNAL + SIGHUP;
	log_line("standard output: %s", strerror(-r));
	return RUN_FAILED;
}

void console_break(struct console *console)
{
	if (!console->in_line || !isatty(STDERR_FILENO))
		return;
	if (console->out_fd >= 0)
		flush(console);
	fputc('\n', stderr);
	console->in_line = false;
}

/* ---- what is looked for ---- */

static int examine(struct console *console)
{
	int64_t now = deadline_now_ms();
	const char *line;

	if (serial_seen(console->serial))
		return RUN_SEEN;
	if (serial_trouble(console->serial, &line) == SERIAL_NO_TROUBLE)
		return CONSOLE_GOES_ON;
	if (!console->trouble_until)
		console->trouble_until = now + TROUBLE_MS;
	console->trouble_at = now + TROUBLE_QUIET_MS;
	if (console->trouble_at > console->trouble_until)
		console->trouble_at = console->trouble_until;
	return CONSOLE_GOES_ON;
}

/* With --expect, what QEMU's end means; without, its own status. */
int console_verdict(struct console *console, int status)
{
	const char *line;

	if (!console->serial)
		return WIFSIGNALED(status) ? RUN_SIGNAL + WTERMSIG(status)
					   : WEXITSTATUS(status);
	if (serial_seen(console->serial))
		return RUN_SEEN;
	console_break(console);
	switch (serial_trouble(console->serial, &line)) {
	case SERIAL_PANIC:
		log_line("the kernel gave up: %s", line);
		return RUN_PANIC;
	case SERIAL_GRUB:
		log_line("GRUB gave up: %s", line);
		return RUN_GRUB_ERROR;
	default:
		log_line("QEMU ended, and what is expected did not come");
		return RUN_NOT_SEEN;
	}
}

int console_time(struct console *console, int64_t now)
{
	int code = CONSOLE_GOES_ON;

	if (console->rest_at && now >= console->rest_at) {
		console->rest_at = 0;
		serial_rest(console->serial);
		code = examine(console);
	}
	if (code == CONSOLE_GOES_ON && console->trouble_at &&
	    now >= console->trouble_at) {
		console->trouble_at = 0;
		code = console_verdict(console, 0);
	}
	return code;
}

/* ---- the serial line ---- */

bool console_reads(const struct console *console)
{
	return console->fd >= 0 && !console->at_end &&
	       console->waiting < sizeof(console->bytes);
}

static int write_log(struct console *console, const char *bytes, size_t len)
{
	while (console->log_fd >= 0 && len) {
		ssize_t n = write(console->log_fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_line("--log=%s: %s; what follows is missing there",
				 console->log, strerror(errno));
			close(console->log_fd);
			console->log_fd = -1;
			return RUN_FAILED;
		}
		bytes += n;
		len -= (size_t)n;
	}
	return CONSOLE_GOES_ON;
}

int console_read(struct console *console)
{
	char bytes[16384];
	size_t room = sizeof(console->bytes) - console->waiting;
	ssize_t n = read(console->fd, bytes,
			 room < sizeof(bytes) ? room : sizeof(bytes));
	int code, next;

	if (n <= 0) {
		console->at_end = n == 0 || (errno != EINTR && errno != EAGAIN);
		return CONSOLE_GOES_ON;
	}
	code = write_log(console, bytes, (size_t)n);
	if (console->serial) {
		serial_feed(console->serial, bytes, (size_t)n);
		console->rest_at = deadline_now_ms() + REST_MS;
		next = examine(console);
		code = code == CONSOLE_GOES_ON ? next : code;
	}
	if (console->out_fd >= 0) {
		memcpy(console->bytes + console->waiting, bytes, (size_t)n);
		console->waiting += (size_t)n;
		console->in_line = bytes[n - 1] != '\n';
		next = console_write(console, 0);
		code = code == CONSOLE_GOES_ON ? next : code;
	}
	return code;
}
