/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "say.h"

/* What the kernel may take to end a process. */
#define FORCE_MS 2000
/* Time limit for the start of a program. */
#define EXEC_MS 20000

/* The parent may have died before we asked to be told. */
static int follow_parent(pid_t parent, int death_signal)
{
	if (prctl(PR_SET_PDEATHSIG, death_signal) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

static int put(int fd, int as)
{
	return fd >= 0 && dup2(fd, as) < 0 ? -errno : 0;
}

static int prepare(const struct child_options *options, pid_t parent)
{
	int r = follow_parent(parent, options->death_signal);

	if (r == 0)
		r = put(options->in, STDIN_FILENO);
	if (r == 0)
		r = put(options->out, STDOUT_FILENO);
	if (r == 0)
		r = put(options->err, STDERR_FILENO);
	if (r == 0 && options->keep >= 0 &&
	    fcntl(options->keep, F_SETFD, 0) < 0)
		r = -errno;
	if (r == 0 && options->session && setsid() < 0)
		r = -errno;
	if (r == 0 && options->mark && putenv((char *)options->mark) != 0)
		r = -ENOMEM;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	sigprocmask(SIG_SETMASK, options->mask, NULL);
	return r;
}

static void become(const struct child_options *options, pid_t parent, int tell)
{
	int r = prepare(options, parent);

	if (r == 0) {
		execvp(options->argv[0], options->argv);
		r = -errno;
	}
	if (write(tell, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

int child_start(pid_t *ret_pid, const struct child_options *options)
{
	pid_t parent = getpid();
	pid_t pid;
	int ends[2];
	struct pollfd fd = { .events = POLLIN };
	int status;
	ssize_t n;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(options, parent, ends[1]);
	r = pid < 0 ? -errno : 0;
	close(ends[1]);
	fd.fd = ends[0];
	/* End of file after exec, unless its file system does not answer. */
	do {
		fd.revents = 0;
		n = pid < 0 ? 0 : poll(&fd, 1, EXEC_MS);
		if (n == 0 && pid > 0) {
			kill(pid, SIGKILL);
			r = -ETIMEDOUT;
		}
		if (n > 0)
			n = read(ends[0], &r, sizeof(r));
	} while (n < 0 && errno == EINTR);
	close(ends[0]);
	if (r == 0)
		*ret_pid = pid;
	else if (pid > 0)
		wait_child(pid, FORCE_MS, &status);
	return r;
}

pid_t child_fork(const sigset_t *mask)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	if (follow_parent(parent, SIGKILL) < 0)
		_exit(1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	return 0;
}

bool child_ended(pid_t pid, int *ret_status)
{
	return waitpid(pid, ret_status, WNOHANG) == pid;
}

int child_wait(pid_t pid, int patience_ms)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	int64_t end = now_ms() + patience_ms;
	bool forced = false;
	int status = 0;

	while (!child_ended(pid, &status)) {
		if (now_ms() >= end) {
			if (forced)
				return -ETIMEDOUT;
			kill(pid, SIGKILL);
			forced = true;
			end = now_ms() + FORCE_MS;
		}
		nanosleep(&tick, NULL);
	}
	return 0;
}
