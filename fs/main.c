/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * dirdisk SRC MNT: options, then three processes.
 *
 *     launcher     what the user waits for; ends when disk.img can be read
 *     supervisor   mounts, unmounts; stays
 *     worker       scans, computes, serves; stays
 *
 * In the background the launcher is the process that was called and the
 * supervisor a child that outlives it; in the foreground it is the other way
 * round.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/stdio_null.h"
#include "channel.h"
#include "exit_code.h"
#include "imgcore/diag.h"
#include "launcher.h"
#include "log.h"
#include "mountpoint.h"
#include "options.h"
#include "supervisor.h"

/* Time limit for the supervisor to end the others, within its own limits. */
#define SUPERVISOR_MS 20000
/* Time limit for the launcher to end: it only has to print. */
#define LAUNCHER_MS 5000

/* Forks, with a channel between the two; negative, and reported, if not. */
static pid_t fork_with_channel(int ends[2])
{
	int r = channel_pair(ends);
	pid_t pid = r < 0 ? -1 : fork();

	if (pid < 0)
		log_line(
			"no second process can be started: %s; end others, or raise ulimit -u and -n",
			strerror(r < 0 ? -r : errno));
	return pid;
}

static int run_background(const struct dirdisk_options *options)
{
	int ends[2];
	pid_t pid = fork_with_channel(ends);
	int status;
	int code;

	if (pid < 0)
		return EXIT_DAEMON;
	if (pid == 0) {
		/*
		 * What the caller has open is not ours to hold on to: a lock,
		 * or a pipe that someone waits for the end of.
		 */
		close_range(STDERR_FILENO + 1, (unsigned)ends[1] - 1, 0);
		close_range((unsigned)ends[1] + 1, ~0U, 0);
		setsid();
		return supervisor_run(options, ends[1]);
	}
	close(ends[1]);
	code = launcher_wait(options, ends[0]);
	/* After a failure it still unmounts: nothing is left when we end. */
	if (code != EXIT_OK &&
	    deadline_wait_child(pid, SUPERVISOR_MS, &status) < 0)
		log_line(
			"%s: process %ld has not unmounted it yet; wait, or kill that process and run fusermount3 -uz",
			options->mnt ? options->mnt : "the private mount",
			(long)pid);
	return code;
}

static int run_foreground(const struct dirdisk_options *options)
{
	int ends[2];
	pid_t pid = fork_with_channel(ends);
	int status;
	int code;

	if (pid < 0)
		return EXIT_DAEMON;
	if (pid == 0) {
		close(ends[1]);
		return launcher_wait(options, ends[0]);
	}
	close(ends[0]);
	code = supervisor_run(options, ends[1]);
	if (deadline_wait_child(pid, LAUNCHER_MS, &status) == -ETIMEDOUT)
		kill(pid, SIGKILL);
	return code;
}

static int run_remount(const struct dirdisk_options *options)
{
	struct diag diag = DIAG_INIT;
	int r = mountpoint_remount(options->mnt, options->mount.flags, &diag);

	if (r < 0)
		log_diag(&diag, r);
	diag_clear(&diag);
	if (r == 0)
		return EXIT_OK;
	return r == -EPERM ? EXIT_MOUNT : EXIT_MOUNT_POINT;
}

static int run(const struct dirdisk_options *options)
{
	if (options->help) {
		command_line_help(&dirdisk_command, stdout);
		return fflush(stdout) == 0 ? EXIT_OK : EXIT_RUN;
	}
	if (options->version) {
		printf("dirdisk %s\nlibfuse %s\n", VERSION, fuse_pkgversion());
		return fflush(stdout) == 0 ? EXIT_OK : EXIT_RUN;
	}
	if (options->private_mnt && options->mnt) {
		log_line("%s: MNT and --private; give one of them",
			 options->mnt);
		return EXIT_MOUNT_POINT;
	}
	if (!options->mnt && !options->private_mnt) {
		log_line("MNT: missing; usage: dirdisk [options] SRC MNT");
		return EXIT_MOUNT_POINT;
	}
	if (!*options->src || (options->mnt && !*options->mnt)) {
		log_line("%s: empty; usage: dirdisk [options] SRC MNT",
			 *options->src ? "MNT" : "SRC");
		return *options->src ? EXIT_MOUNT_POINT : EXIT_SETUP;
	}
	if (options->mount.remount)
		return run_remount(options);
	return options->foreground ? run_foreground(options)
				   : run_background(options);
}

int main(int argc, char *argv[])
{
	struct dirdisk_options options = { 0 };
	struct diag diag = DIAG_INIT;
	int r = stdio_null_fill();
	int code;

	if (r < 0) {
		log_line("/dev/null: %s", strerror(-r));
		return EXIT_SETUP;
	}
	r = dirdisk_options_parse(&options, argc, argv, &diag);
	if (r < 0) {
		log_diag(&diag, r);
		diag_clear(&diag);
		return EXIT_OPTIONS;
	}
	code = run(&options);
	dirdisk_options_clear(&options);
	return code;
}
