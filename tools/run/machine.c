/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The processes:
 *
 *     dirdisk-run    passes signals on, and waits for the loop
 *     loop           this file: starts the others and ends them
 *     dirdisk        -f --private, in a session of its own
 *     watch          reads from the mount, with --watch (watch.h)
 *     QEMU           on our terminal, in our process group; its output comes
 *                    through the loop
 *     QEMU           for a moment: whether KVM works
 *
 * The loop is in a process group of its own. It adopts what its children leave
 * behind, and ends all of it when dirdisk-run ends, by SIGKILL too. If the loop
 * is killed, dirdisk-run adopts and ends them. dirdisk removes its mount
 * directory by itself; if it was killed, the loop does.
 *
 * The loop is one thread, which never blocks on another process.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/math.h"
#include "child.h"
#include "console.h"
#include "disk.h"
#include "fs/mount_dir.h"
#include "imgcore/diag.h"
#include "log.h"
#include "options.h"
#include "qemu.h"
#include "run_code.h"
#include "terminal.h"
#include "watch.h"

/* What dirdisk may take to end when asked to. */
#define DISK_PATIENCE_MS 7000
/* What QEMU may take. */
#define QEMU_PATIENCE_MS 5000
/*
 * What a reader of our output may take then; when QEMU ended by itself, it may
 * take all of its time.
 */
#define FLUSH_MS 1000
/* Time limit for the kernel to end a process. */
#define KILL_MS 1000
/* KVM that answers later is no faster than QEMU's translator. */
#define PROBE_MS 1000

/* Times are of deadline_now_ms(); 0: not set. */
struct machine {
	const struct run_options *options;
	struct terminal terminal;
	sigset_t mask; /* as we were started */
	pid_t group; /* QEMU's process group */
	int caller; /* a pidfd of dirdisk-run */
	int signals;
	int64_t deadline; /* of it all */

	struct child dirdisk;
	bool dirdisk_killed; /* and so has not removed its mount directory */
	int dirdisk_fd; /* the mount directory's path comes from there */
	char mount_dir[PATH_MAX + 1];
	size_t mount_dir_len;
	char *disk; /* its path; NULL: it is not there yet */

	struct child watch;
	int watch_fd;
	char text[WATCH_TEXT_LEN];
	size_t text_len;
	bool ready; /* to boot */

	struct child probe;
	int64_t probe_end;
	bool kvm;

	struct child qemu;
	int qemu_status;
	int64_t kill_at;
	bool killed; /* by force */
	bool abandoned; /* and yet it has not ended */
	bool again; /* it is ended to be started anew */
	struct console console;

	bool ending;
	bool forced; /* nothing is waited for any more */
	bool signalled[2]; /* by others, and by dirdisk-run */
	int64_t flush_until;
	int code;
};

/* ---- the end ---- */

static void stop_qemu(struct machine *machine, int signal)
{
	child_signal(&machine->qemu, signal);
	machine->kill_at = deadline_now_ms() + QEMU_PATIENCE_MS;
}

/* Ends it all, with this exit status if nothing else did before. */
static void machine_end(struct machine *machine, int code, int signal)
{
	if (machine->ending || code < 0)
		return;
	machine->ending = true;
	machine->code = code;
	if (!machine->qemu.pid)
		return;
	machine->flush_until = deadline_now_ms() + QEMU_PATIENCE_MS + FLUSH_MS;
	stop_qemu(machine, signal);
}

static bool is_over(const struct machine *machine)
{
	if (machine->abandoned)
		return true;
	if (!machine->ending || machine->qemu.pid)
		return false;
	return machine->forced ||
	       (machine->console.fd < 0 && machine->console.waiting == 0);
}

/* ---- QEMU ---- */

/* Starts it once there is a disk, and an answer about KVM. */
static void boot(struct machine *machine)
{
	const struct qemu_run run = {
		.mount_dir = machine->mount_dir,
		.disk = machine->disk,
		.kvm = machine->kvm,
		.terminal = machine->terminal.is_one,
		.mask = &machine->mask,
		.group = machine->group,
	};
	int fd;
	int r;

	if (!machine->ready || machine->probe.pid || machine->ending ||
	    machine->qemu.pid || machine->console.fd >= 0)
		return;
	machine->again = machine->killed = false;
	machine->kill_at = 0;
	r = qemu_start(&machine->qemu, &fd, machine->options, &run);
	if (r == 0) {
		console_start(&machine->console, fd);
		return;
	}
	log_line("%s: cannot be run: %s; install QEMU, or give --qemu=PROGRAM",
		 machine->options->qemu, strerror(-r));
	machine_end(machine, RUN_FAILED, 0);
}

static void qemu_ended(struct machine *machine, int status)
{
	const struct child *const keep[] = { &machine->dirdisk, &machine->watch,
					     &machine->probe };

	machine->qemu_status = status;
	machine->kill_at = 0;
	if (machine->flush_until)
		machine->flush_until = deadline_now_ms() + FLUSH_MS;
	/* What it started goes with it, and the serial line has an end. */
	children_end(keep, ARRAY_SIZE(keep), SIGKILL, 0);
	terminal_restore(&machine->terminal);
}

/* One that the kernel cannot end yet waits for the disk, most likely. */
static void qemu_late(struct machine *machine)
{
	child_signal(&machine->qemu, SIGKILL);
	if (machine->killed) {
		log_line("QEMU does not end; the disk is taken from it");
		machine_end(machine, RUN_FAILED, SIGKILL);
		machine->abandoned = true;
	}
	machine->killed = true;
	machine->kill_at = deadline_now_ms() + QEMU_PATIENCE_MS;
}

/* After QEMU's end, and all of what it said. */
static void line_ended(struct machine *machine)
{
	console_stop(&machine->console);
	if (!machine->again && !machine->ending)
		machine_end(machine,
			    console_verdict(&machine->console,
					    machine->qemu_status),
			    0);
}

/* ---- whether KVM works ---- */

static void probe_ended(struct machine *machine, bool works, const char *reason)
{
	machine->probe_end = 0;
	machine->kvm = works;
	if (!works && access("/dev/kvm", R_OK | W_OK) == 0)
		log_line("KVM %s: using TCG; --accel=tcg does so at once",
			 reason);
}

/* ---- the disk ---- */

static void set_ready(struct machine *machine)
{
	machine->ready = true;
	if (machine->terminal.is_one && !machine->options->expect)
		log_line("to leave: Ctrl-A, then X");
}

/* Takes the path of the mount directory. */
static void on_dirdisk(struct machine *machine)
{
	char *path = machine->mount_dir;
	size_t *len = &machine->mount_dir_len;
	ssize_t n = read(machine->dirdisk_fd, path + *len,
			 sizeof(machine->mount_dir) - *len);
	int r = 0;

	if (n <= 0) {
		base_closep(&machine->dirdisk_fd);
		machine->dirdisk_fd = -1;
		return;
	}
	*len += (size_t)n;
	if (machine->disk || path[*len - 1] != '\n')
		return;
	path[*len - 1] = '\0';
	if (asprintf(&machine->disk, "%s/%s", path, machine->options->name) <
	    0) {
		machine->disk = NULL;
		r = -ENOMEM;
	} else if (!machine->ending && machine->options->watch) {
		r = watch_start(&machine->watch, &machine->watch_fd, path,
				&machine->mask);
	} else if (!machine->ending) {
		set_ready(machine);
	}
	if (r < 0) {
		log_line("%s", strerror(-r));
		machine_end(machine, RUN_FAILED, SIGTERM);
	}
}

static void dirdisk_ended(struct machine *machine, int status)
{
	machine->dirdisk_killed = WIFSIGNALED(status);
	if (machine->ending)
		return;
	if (WIFSIGNALED(status))
		log_line("dirdisk was killed by signal %d (%s); start it again",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		log_line("%s was unmounted; start it again",
			 machine->disk ? machine->mount_dir : "the disk");
	/* Otherwise it has said why. */
	machine_end(machine, RUN_FAILED, SIGTERM);
}

/* ---- --watch ---- */

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

		if (!*text) {
			set_ready(machine);
		} else if (!machine->ending && !machine->again &&
			   machine->qemu.pid) {
			console_break(&machine->console);
			log_line("%s: booting again", text);
			machine->again = true;
			stop_qemu(machine, SIGTERM);
		}
		machine->text_len -= len;
		memmove(text, end + 1, machine->text_len);
	}
}

/* ---- the loop ---- */

/*
 * The second signal does not wait. Whoever signals all processes of this name,
 * or of a service, has sent one: to dirdisk-run, which passes it on, and here.
 */
static void on_signals(struct machine *machine)
{
	struct signalfd_siginfo info;

	while (read(machine->signals, &info, sizeof(info)) == sizeof(info)) {
		int number = (int)info.ssi_signo;
		bool passed_on = (pid_t)info.ssi_pid == getppid();

		machine->forced |= machine->ending &&
				   (machine->signalled[passed_on] ||
				    !machine->signalled[!passed_on]);
		machine->signalled[passed_on] = true;
		machine_end(machine, RUN_SIGNAL + number, number);
		if (machine->forced)
			child_signal(&machine->qemu, SIGKILL);
	}
}

/* dirdisk-run was killed. Whoever waits for it waits for our output, too. */
static void on_caller(struct machine *machine)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	console_drop(&machine->console);
	base_closep(&machine->caller);
	machine->caller = -1;
	machine_end(machine, RUN_FAILED, SIGKILL);
	child_signal(&machine->qemu, SIGKILL);
	machine->forced = true;
}

static void on_children(struct machine *machine)
{
	int status;

	if (child_ended(&machine->probe, &status))
		probe_ended(machine,
			    WIFEXITED(status) &&
				    WEXITSTATUS(status) == QEMU_PROBE_STATUS,
			    "does not work here");
	if (child_ended(&machine->dirdisk, &status))
		dirdisk_ended(machine, status);
	if (child_ended(&machine->watch, &status)) {
		if (!machine->ending)
			log_line(
				"the process that watches the disk ended; start it again");
		machine_end(machine, RUN_FAILED, SIGTERM);
	}
	if (child_ended(&machine->qemu, &status))
		qemu_ended(machine, status);
}

static bool is_due(int64_t *time, int64_t now)
{
	if (!*time || now < *time)
		return false;
	*time = 0;
	return true;
}

static void on_time(struct machine *machine)
{
	int64_t now = deadline_now_ms();
	int code;

	if (is_due(&machine->probe_end, now)) {
		child_end(&machine->probe, SIGKILL, KILL_MS);
		probe_ended(machine, false, "is too slow here");
	}
	code = machine->ending ? CONSOLE_GOES_ON
			       : console_time(&machine->console, now);
	machine_end(machine, code, SIGTERM);
	if (is_due(&machine->kill_at, now))
		qemu_late(machine);
	if (is_due(&machine->flush_until, now))
		machine->forced = true;
	if (!is_due(&machine->deadline, now))
		return;
	if (machine->ending) {
		machine->forced = true;
		return;
	}
	console_break(&machine->console);
	log_line(machine->options->expect
			 ? "timed out, and what is expected did not come"
			 : "timed out");
	machine_end(machine, RUN_TIMED_OUT, SIGTERM);
}

static int time_left(const struct machine *machine)
{
	const struct console *console = &machine->console;
	const int64_t times[] = {
		machine->probe_end,
		machine->kill_at,
		machine->flush_until,
		machine->deadline,
		machine->ending ? 0 : console->rest_at,
		machine->ending ? 0 : console->trouble_at,
	};
	int64_t now = deadline_now_ms();
	int64_t left = -1;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		int64_t time = times[i] > now ? times[i] - now : 0;

		if (times[i] && (left < 0 || time < left))
			left = time;
	}
	return left < INT_MAX ? (int)left : INT_MAX;
}

enum {
	FD_SIGNALS,
	FD_CALLER,
	FD_DIRDISK,
	FD_WATCH,
	FD_SERIAL,
	FD_OUTPUT,
	FD_TERMINAL,
	FD_CHILDREN, /* and three more */
	N_FDS = FD_CHILDREN + 4
};

static void turn(struct machine *machine)
{
	struct console *console = &machine->console;
	bool terminal = machine->terminal.is_one && !machine->ending;
	/* After QEMU's end there may be nothing to read. */
	bool rest = console_reads(console) && !machine->qemu.pid;
	/* What ends shows without being asked for. */
	struct pollfd fds[N_FDS] = {
		[FD_SIGNALS] = { machine->signals, POLLIN, 0 },
		[FD_CALLER] = { machine->caller, POLLIN, 0 },
		[FD_DIRDISK] = { machine->dirdisk_fd, POLLIN, 0 },
		[FD_WATCH] = { machine->watch_fd, POLLIN, 0 },
		[FD_SERIAL] = { console_reads(console) ? console->fd : -1,
				POLLIN, 0 },
		[FD_OUTPUT] = { console->out_fd, console->waiting ? POLLOUT : 0,
				0 },
		[FD_TERMINAL] = { terminal ? STDIN_FILENO : -1, 0, 0 },
		[FD_CHILDREN] = { machine->probe.fd, POLLIN, 0 },
		{ machine->dirdisk.fd, POLLIN, 0 },
		{ machine->watch.fd, POLLIN, 0 },
		{ machine->qemu.fd, POLLIN, 0 },
	};

	if (poll(fds, N_FDS, rest ? 0 : time_left(machine)) < 0)
		return;
	if (fds[FD_CALLER].revents)
		on_caller(machine);
	if (fds[FD_DIRDISK].revents)
		on_dirdisk(machine);
	if (fds[FD_WATCH].revents)
		on_watch(machine);
	if (fds[FD_SERIAL].revents)
		machine_end(machine, console_read(console), SIGTERM);
	if (fds[FD_OUTPUT].revents)
		machine_end(machine,
			    console_write(console, fds[FD_OUTPUT].revents),
			    SIGTERM);
	if (fds[FD_TERMINAL].revents & (POLLERR | POLLHUP))
		machine_end(machine, RUN_SIGNAL + SIGHUP, SIGHUP);
	if (fds[FD_SIGNALS].revents)
		on_signals(machine);
	on_children(machine);
	if (console->fd >= 0 && !machine->qemu.pid &&
	    (console->at_end || (rest && !fds[FD_SERIAL].revents)))
		line_ended(machine);
	on_time(machine);
	boot(machine);
}

/* ---- the whole ---- */

/* What our caller has us ignore (nohup, a shell's background), we ignore. */
static void end_signals(sigset_t *ret_set)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old;

	sigemptyset(ret_set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i] == SIGTERM ||
		    sigaction(numbers[i], NULL, &old) < 0 ||
		    old.sa_handler != SIG_IGN)
			sigaddset(ret_set, numbers[i]);
	}
}

static int machine_begin(struct machine *machine, struct diag *diag)
{
	const struct run_options *options = machine->options;
	sigset_t set;
	int r;

	end_signals(&set);
	if (options->timeout_ms)
		machine->deadline = deadline_now_ms() + options->timeout_ms;
	machine->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (machine->signals < 0)
		return diag_set(diag, -errno, NULL, NULL);
	machine->kvm = options->accel == ACCEL_KVM;
	/* Both take their time. */
	if (options->accel == ACCEL_AUTO && !qemu_accel_given(options)) {
		machine->probe_end = deadline_now_ms() + PROBE_MS;
		r = qemu_probe_start(&machine->probe, options, &machine->mask);
		if (r < 0)
			return diag_set(
				diag, r, options->qemu,
				"cannot be run: %s; install QEMU, or give --qemu=PROGRAM",
				strerror(-r));
	}
	return disk_start(&machine->dirdisk, &machine->dirdisk_fd, options,
			  &machine->mask, diag);
}

/* The disk is unmounted by dirdisk, or else here. */
static void machine_clear(struct machine *machine)
{
	struct diag diag = DIAG_INIT;
	int64_t end;
	int r = 0;

	child_end(&machine->probe, SIGKILL, KILL_MS);
	child_end(&machine->watch, SIGKILL, KILL_MS);
	if (machine->dirdisk.pid)
		machine->dirdisk_killed = WIFSIGNALED(child_end(
			&machine->dirdisk, SIGTERM, DISK_PATIENCE_MS));
	child_end(&machine->qemu, SIGKILL, KILL_MS);
	terminal_restore(&machine->terminal);
	/* One that was killed in its start still removes what it has made. */
	end = deadline_now_ms() + DISK_PATIENCE_MS;
	while (machine->dirdisk_killed && !machine->disk &&
	       machine->dirdisk_fd >= 0 && deadline_now_ms() < end) {
		struct pollfd fd = { machine->dirdisk_fd, POLLIN, 0 };

		if (poll(&fd, 1, (int)(end - deadline_now_ms())) > 0)
			on_dirdisk(machine);
	}
	if (machine->dirdisk_killed && machine->disk)
		r = mount_dir_remove(machine->mount_dir, -1, &diag);
	if (r < 0) {
		log_diag(&diag, r);
		machine->code = machine->code ? machine->code : RUN_FAILED;
	}
	children_end(NULL, 0, SIGKILL, 0);
	console_close(&machine->console);
	base_closep(&machine->dirdisk_fd);
	base_closep(&machine->watch_fd);
	base_closep(&machine->signals);
	base_closep(&machine->caller);
	free(machine->disk);
}

static int run_loop(struct machine *machine)
{
	struct diag diag = DIAG_INIT;
	int r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	r = children_adopt();
	/* It has said why. */
	if (r == 0 && console_open(&machine->console, machine->options) < 0)
		machine_end(machine, RUN_FAILED, 0);
	else if (r == 0)
		r = machine_begin(machine, &diag);
	if (r < 0) {
		log_diag(&diag, r);
		machine_end(machine, RUN_FAILED, 0);
	}
	while (!is_over(machine))
		turn(machine);
	machine_clear(machine);
	return machine->code;
}

/* Passes signals on until the loop has ended: its wait status. */
static int wait_for_loop(pid_t loop, const sigset_t *set)
{
	int status = 0;

	while (waitpid(loop, &status, WNOHANG) == 0) {
		int number = sigwaitinfo(set, NULL);

		if (number > 0 && number != SIGCHLD)
			kill(loop, number);
	}
	return status;
}

int machine_run(const struct run_options *options)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	sigset_t set;
	pid_t loop;
	int status;

	if (!machine) {
		log_line("out of memory");
		return RUN_FAILED;
	}
	machine->options = options;
	machine->signals = machine->dirdisk_fd = machine->watch_fd = -1;
	machine->console.fd = machine->console.log_fd = -1;
	machine->console.out_fd = STDOUT_FILENO;
	machine->dirdisk = machine->watch = CHILD_NONE;
	machine->probe = machine->qemu = CHILD_NONE;
	machine->group = getpgrp();
	terminal_save(&machine->terminal);
	end_signals(&set);
	sigaddset(&set, SIGCHLD);
	/* A parent that ignored it would have it reaped unseen. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &machine->mask);
	/* Of ours, in whatever state we were started. */
	sigdelset(&machine->mask, SIGTERM);
	sigdelset(&machine->mask, SIGCHLD);
	machine->caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
	loop = machine->caller < 0 || children_adopt() < 0 ? -1 : fork();
	if (loop == 0) {
		setpgid(0, 0);
		exit(run_loop(machine));
	}
	if (loop < 0) {
		log_line("no second process can be started: %s",
			 strerror(errno));
		return RUN_FAILED;
	}
	base_closep(&machine->caller);
	status = wait_for_loop(loop, &set);
	if (WIFSIGNALED(status)) {
		/* It was killed: dirdisk unmounts, and all the others end. */
		children_end(NULL, 0, SIGTERM, DISK_PATIENCE_MS);
		terminal_restore(&machine->terminal);
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	free(machine);
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : RUN_SIGNAL + WTERMSIG(status);
}
