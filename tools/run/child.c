/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"

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

/* Holds a child that was just forked: nobody else can have reaped it. */
static int hold(struct child *ret_child, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = fd < 0 ? -errno : 0;

	if (r < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret_child = (struct child){ .pid = pid, .fd = fd };
	return 0;
}

static int prepare(const struct child_options *options, pid_t parent)
{
	const int fds[] = { options->in, options->out, options->err };
	int r = follow_parent(parent, options->death_signal);

	for (int i = 0; r == 0 && i < 3; i++) {
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			r = -errno;
	}
	if (r == 0 && options->keep >= 0 &&
	    fcntl(options->keep, F_SETFD, 0) < 0)
		r = -errno;
	if (r == 0 && options->session && setsid() < 0)
		r = -errno;
	/* The group is gone if we are being killed. */
	if (r == 0 && options->group)
		setpgid(0, options->group);
	if (r == 0 && options->environment &&
	    putenv((char *)options->environment) != 0)
		r = -ENOMEM;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	sigprocmask(SIG_SETMASK, options->mask, NULL);
	return r;
}

int child_start(struct child *ret_child, const struct child_options *options)
{
	struct pollfd fd = { .events = POLLIN };
	struct child child = CHILD_NONE;
	pid_t parent = getpid();
	int ends[2];
	pid_t pid;
	ssize_t n;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	r = pid < 0 ? -errno : 0;
	if (pid == 0) {
		r = prepare(options, parent);
		if (r == 0) {
			execvp(options->argv[0], options->argv);
			r = -errno;
		}
		n = write(ends[1], &r, sizeof(r));
		_exit(n < 0 ? 126 : 127);
	}
	close(ends[1]);
	if (r == 0)
		r = hold(&child, pid);
	fd.fd = ends[0];
	/* End of file after exec, unless its file system does not answer. */
	if (r == 0 && poll(&fd, 1, EXEC_MS) == 0)
		r = -ETIMEDOUT;
	if (r == 0 && read(ends[0], &r, sizeof(r)) < 0)
		r = -errno;
	close(ends[0]);
	if (r == 0)
		*ret_child = child;
	else
		child_end(&child, SIGKILL, FORCE_MS);
	return r;
}

int child_fork(struct child *ret_child, const sigset_t *mask)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		r = hold(ret_child, pid);
		return r < 0 ? r : 1;
	}
	if (follow_parent(parent, SIGKILL) < 0)
		_exit(1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	return 0;
}

void child_signal(const struct child *child, int number)
{
	if (!child->pid)
		return;
	syscall(SYS_pidfd_send_signal, child->fd, number, NULL, 0);
	syscall(SYS_pidfd_send_signal, child->fd, SIGCONT, NULL, 0);
}

bool child_ended(struct child *child, int *ret_status)
{
	siginfo_t info = { 0 };

	if (!child->pid ||
	    waitid(P_PIDFD, (id_t)child->fd, &info, WEXITED | WNOHANG) < 0 ||
	    !info.si_pid)
		return false;
	*ret_status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0)
						 : info.si_status;
	close(child->fd);
	*child = CHILD_NONE;
	return true;
}

int child_end(struct child *child, int number, int patience_ms)
{
	struct pollfd fd = { .fd = child->fd, .events = POLLIN };
	int status = 0;

	child_signal(child, number);
	if (child->pid && poll(&fd, 1, patience_ms) == 0) {
		child_signal(child, SIGKILL);
		poll(&fd, 1, FORCE_MS);
	}
	child_ended(child, &status);
	return status;
}

int children_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

/* The parent of a process; 0: it has ended. */
static pid_t parent_of(const char *pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64];
	char line[512];
	char *at = NULL;
	int parent;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file))
		/* The name before it may contain anything. */
		at = strrchr(line, ')');
	return at && sscanf(at, ") %*c %d", &parent) == 1 ? parent : 0;
}

/*
 * How many there are. A process id of ours is not reused before we have reaped
 * it here.
 */
static size_t signal_children(const struct child *const keep[], size_t n,
			      int number)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t found = 0;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atol(entry->d_name);
		size_t i = 0;

		if (pid <= 0 || parent_of(entry->d_name) != getpid())
			continue;
		while (i < n && keep[i]->pid != pid)
			i++;
		if (i < n)
			continue;
		kill(pid, number);
		kill(pid, SIGCONT);
		waitpid(pid, NULL, WNOHANG);
		found++;
	}
	if (proc)
		closedir(proc);
	return found;
}

void children_end(const struct child *const keep[], size_t n, int number,
		  int patience_ms)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	int64_t kill_at = deadline_now_ms() + patience_ms;

	while (signal_children(keep, n,
			       deadline_now_ms() < kill_at ? number
							   : SIGKILL) &&
	       deadline_now_ms() < kill_at + FORCE_MS)
		nanosleep(&tick, NULL);
}
