/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The processes:
 *
 *     dirdisk-run    this loop
 *     keeper         makes and removes the place (keeper.h)
 *     dirdisk        -f, in a session of its own
 *     watch          reads from the mount (watch.h)
 *     QEMU           on our terminal, its output through us
 *     QEMU           for a moment: whether KVM works (accel.c)
 *
 * All but the keeper are killed with us by the kernel, and the keeper then ends
 * what they have left.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accel.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "boot.h"
#include "child.h"
#include "console.h"
#include "disk.h"
#include "ending.h"
#include "imgcore/diag.h"
#include "options.h"
#include "place.h"
#include "say.h"
#include "state.h"

/* What dirdisk may take to end when asked to. */
#define DISK_PATIENCE_MS 7000

/* ---- the end ---- */

static bool is_over(const struct machine *machine)
{
	if (machine->abandoned)
		return true;
	if (!machine->ending || machine->qemu_pid)
		return false;
	return machine->forced ||
	       (machine->serial_fd < 0 && machine->output.len == 0);
}

/* ---- the disk ---- */

static void disk_ended(struct machine *machine, int status)
{
	machine->disk_pid = 0;
	if (machine->ending)
		return;
	if (WIFSIGNALED(status))
		say("dirdisk was killed by signal %d (%s); start it again",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		say("%s was unmounted; start it again", machine->keeper.place);
	/* Otherwise it has said why. */
	machine_end(machine, RUN_FAILED, 0);
}

/* One message of the watch's. */
static void take_text(struct machine *machine, const char *text)
{
	if (*text) {
		machine_boot_again(machine, text);
		return;
	}
	machine->ready = true;
	if (machine->terminal.is_one && !machine->options->expect)
		say("to leave: Ctrl-A, then X");
}

static void on_watch(struct machine *machine)
{
	char *text = machine->text;
	ssize_t n = read(machine->watch_fd, text + machine->text_len,
			 sizeof(machine->text) - machine->text_len);
	char *end;

	if (n <= 0) {
		base_closep(&machine->watch_fd);
		machine->watch_fd = -1;
		return;
	}
	machine->text_len += (size_t)n;
	while ((end = memchr(text, '\0', machine->text_len))) {
		size_t len = (size_t)(end - text) + 1;

		take_text(machine, text);
		machine->text_len -= len;
		memmove(text, end + 1, machine->text_len);
	}
}

static void watch_ended(struct machine *machine)
{
	machine->watch_pid = 0;
	/* Its last word may still be on its way. */
	while (machine->watch_fd >= 0)
		on_watch(machine);
	if (machine->ready && !machine->options->watch)
		return;
	if (!machine->ending)
		say("the process that watches the disk ended; start it again");
	machine_end(machine, RUN_FAILED, 0);
}

/* ---- signals ---- */

static void reap(struct machine *machine)
{
	int status;

	if (machine->probe_pid && child_ended(machine->probe_pid, &status))
		accel_ended(machine, status);
	if (machine->disk_pid && child_ended(machine->disk_pid, &status))
		disk_ended(machine, status);
	if (machine->watch_pid && child_ended(machine->watch_pid, &status))
		watch_ended(machine);
	if (machine->qemu_pid && child_ended(machine->qemu_pid, &status))
		machine_qemu_ended(machine, status);
}

/* The second one does not wait. */
static void on_end_signal(struct machine *machine, int number)
{
	if (!machine->ending) {
		machine_end(machine, RUN_SIGNAL + number, number);
		return;
	}
	machine->forced = true;
	if (machine->qemu_pid)
		kill(machine->qemu_pid, SIGKILL);
}

static void on_signals(struct machine *machine)
{
	struct signalfd_siginfo info;

	while (read(machine->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(machine);
		else
			on_end_signal(machine, (int)info.ssi_signo);
	}
}

/* What our caller has us ignore (nohup, a shell's background), we ignore. */
static void add_signal(sigset_t *set, int number)
{
	struct sigaction old;

	if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN &&
	    number != SIGTERM)
		return;
	sigaddset(set, number);
}

static int open_signals(struct machine *machine)
{
	sigset_t set;

	sigemptyset(&set);
	add_signal(&set, SIGINT);
	add_signal(&set, SIGTERM);
	add_signal(&set, SIGHUP);
	add_signal(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	/* A parent that ignored it would have it reaped unseen. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, &machine->mask) < 0)
		return -errno;
	/* Of ours, in whatever state we were started. */
	sigdelset(&machine->mask, SIGTERM);
	sigdelset(&machine->mask, SIGCHLD);
	machine->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return machine->signals < 0 ? -errno : 0;
}

/* ---- time ---- */

static bool is_due(int64_t *time)
{
	if (!*time || now_ms() < *time)
		return false;
	*time = 0;
	return true;
}

static void timed_out(struct machine *machine)
{
	if (machine->ending)
		return;
	console_break(machine);
	if (machine->options->expect)
		say("timed out, and what is expected did not come");
	else
		say("timed out");
	machine_end(machine, RUN_TIMED_OUT, 0);
}

static void on_time(struct machine *machine)
{
	if (is_due(&machine->probe_end))
		accel_late(machine);
	if (is_due(&machine->rest_at))
		console_rest(machine);
	if (is_due(&machine->trouble_at))
		console_trouble(machine);
	if (is_due(&machine->kill_at))
		machine_qemu_late(machine);
	if (is_due(&machine->flush_until))
		machine->forced = true;
	if (is_due(&machine->deadline)) {
		machine->forced |= machine->ending;
		timed_out(machine);
	}
}

/* The rest of what QEMU said, which may be nothing. */
static bool has_rest(const struct machine *machine)
{
	return machine->serial_fd >= 0 && !machine->qemu_pid &&
	       output_room(&machine->output);
}

static int time_left(const struct machine *machine)
{
	const int64_t times[] = {
		machine->probe_end, machine->rest_at,	  machine->trouble_at,
		machine->kill_at,   machine->flush_until, machine->deadline,
	};
	int64_t now = now_ms();
	int64_t least = has_rest(machine) ? 0 : INT32_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		if (!times[i])
			continue;
		if (times[i] - now < least)
			least = times[i] > now ? times[i] - now : 0;
	}
	return least == INT32_MAX ? -1 : (int)least;
}

/* ---- the loop ---- */

enum {
	FD_SIGNALS,
	FD_WATCH,
	FD_SERIAL,
	FD_OUTPUT,
	FD_TERMINAL,
	N_FDS
};

static void fill_fds(const struct machine *machine, struct pollfd fds[N_FDS])
{
	const struct output *output = &machine->output;
	bool reads = output_room(output) && !machine->serial_over;

	fds[FD_SIGNALS] = (struct pollfd){ machine->signals, POLLIN, 0 };
	fds[FD_WATCH] = (struct pollfd){ machine->watch_fd, POLLIN, 0 };
	fds[FD_SERIAL] = (struct pollfd){ reads ? machine->serial_fd : -1,
					  POLLIN, 0 };
	/* Their ends show without being asked for. */
	fds[FD_OUTPUT] = (struct pollfd){ machine->output_gone ? -1
							       : output->fd,
					  output->len ? POLLOUT : 0, 0 };
	fds[FD_TERMINAL] = (struct pollfd){ machine->terminal.is_one &&
							    !machine->ending
						    ? STDIN_FILENO
						    : -1,
					    0, 0 };
}

static void on_output(struct machine *machine, short events)
{
	bool hung_up = (events & POLLHUP) && !machine->output.is_socket;

	if (events & (POLLERR | POLLHUP))
		console_gone(machine, hung_up ? -EIO : -EPIPE);
	else
		console_write(machine);
}

static void turn(struct machine *machine)
{
	struct pollfd fds[N_FDS];

	fill_fds(machine, fds);
	if (poll(fds, N_FDS, time_left(machine)) < 0)
		return;
	if (fds[FD_WATCH].revents)
		on_watch(machine);
	if (fds[FD_SERIAL].revents || has_rest(machine))
		console_read(machine);
	if (fds[FD_OUTPUT].revents)
		on_output(machine, fds[FD_OUTPUT].revents);
	if (fds[FD_TERMINAL].revents & (POLLERR | POLLHUP))
		machine_end(machine, RUN_SIGNAL + SIGHUP, SIGHUP);
	if (fds[FD_SIGNALS].revents)
		on_signals(machine);
	on_time(machine);
	machine_boot(machine);
}

/* ---- the whole ---- */

static int name_things(struct machine *machine)
{
	machine->mark = place_qemu_mark(machine->keeper.place);
	if (!machine->mark)
		return -ENOMEM;
	if (asprintf(&machine->disk, "%s/%s", machine->keeper.place,
		     machine->options->name) >= 0)
		return 0;
	machine->disk = NULL;
	return -ENOMEM;
}

static int start_disk(struct machine *machine, struct diag *diag)
{
	int r = disk_start(&machine->disk_pid, machine->options,
			   machine->keeper.place, &machine->mask, diag);

	if (r < 0)
		return r;
	machine->watch_pid = watch_start(machine->options, &machine->keeper,
					 machine->disk, &machine->mask,
					 &machine->watch_fd);
	if (machine->watch_pid > 0)
		return 0;
	r = machine->watch_pid;
	machine->watch_pid = 0;
	return r;
}

static int begin_probe(struct machine *machine, struct diag *diag)
{
	const char *qemu = machine->options->qemu;
	int r = accel_begin(machine);

	if (r < 0)
		return diag_set(
			diag, r, qemu,
			"cannot be run: %s; install QEMU, or give --qemu=PROGRAM",
			strerror(-r));
	return 0;
}

static int machine_begin(struct machine *machine)
{
	struct diag diag = DIAG_INIT;
	int r;

	terminal_save(&machine->terminal);
	if (machine->options->timeout_ms)
		machine->deadline = now_ms() + machine->options->timeout_ms;
	/* It has said why. */
	r = console_begin(machine);
	if (r < 0)
		return r;
	r = open_signals(machine);
	if (r == 0)
		r = keeper_start(&machine->keeper, &machine->terminal, &diag);
	if (r == 0)
		r = name_things(machine);
	/* Both take their time. */
	if (r == 0)
		r = begin_probe(machine, &diag);
	if (r == 0)
		r = start_disk(machine, &diag);
	if (r < 0)
		say_diag(&diag, r);
	return r;
}

static void end_child(pid_t pid, int number, int patience_ms)
{
	if (!pid)
		return;
	kill(pid, number);
	/* Stopped, it would not see it. */
	kill(pid, SIGCONT);
	child_wait(pid, patience_ms);
}

/* The disk is unmounted by dirdisk, or else by the keeper. */
static void machine_clear(struct machine *machine)
{
	struct diag diag = DIAG_INIT;
	int r;

	end_child(machine->probe_pid, SIGKILL, 1000);
	end_child(machine->watch_pid, SIGKILL, 1000);
	end_child(machine->disk_pid, SIGTERM, DISK_PATIENCE_MS);
	end_child(machine->qemu_pid, SIGKILL, 1000);
	terminal_restore(&machine->terminal);
	r = keeper_end(&machine->keeper, &diag);
	if (r < 0) {
		say_diag(&diag, r);
		machine->code = machine->code ? machine->code : RUN_FAILED;
	}
	console_clear(machine);
	base_closep(&machine->watch_fd);
	base_closep(&machine->signals);
	free(machine->disk);
	free(machine->mark);
}

int machine_run(const struct run_options *options)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	int code;

	if (!machine) {
		say("out of memory");
		return RUN_FAILED;
	}
	machine->options = options;
	machine->keeper = (struct keeper)KEEPER_INIT;
	machine->signals = machine->watch_fd = machine->serial_fd = -1;
	machine->log_fd = -1;
	machine->output.fd = STDOUT_FILENO;
	if (machine_begin(machine) < 0)
		machine_end(machine, RUN_FAILED, 0);
	while (!is_over(machine))
		turn(machine);
	machine_clear(machine);
	code = machine->code;
	free(machine);
	return code;
}
