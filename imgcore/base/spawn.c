/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What posix_spawn does, and PR_SET_PDEATHSIG, which it cannot: the child
 * shares our memory until it executes the program.
 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define STACK (256u << 10)

struct job {
	const char *const *argv;
	int out;
	int err;
	pid_t parent;
	int error; /* of the child */
};

/* A handler of ours would run in the child, on our memory. */
static void reset_signals(void)
{
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) < 0)
			continue;
		/* What a tool relies on is not ignored. */
		if (action.sa_handler != SIG_IGN || number == SIGPIPE ||
		    number == SIGCHLD)
			signal(number, SIG_DFL);
	}
}

/* 0 or -1. */
static int put(int fd, int as)
{
	return fd < 0 || dup2(fd, as) >= 0 ? 0 : -1;
}

static int child(void *context)
{
	struct job *job = context;
	sigset_t none;
	int null;

	sigemptyset(&none);
	reset_signals();
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* The parent may have died before that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && null >= 0 &&
	    getppid() == job->parent && dup2(null, STDIN_FILENO) >= 0 &&
	    put(job->out, STDOUT_FILENO) == 0 &&
	    put(job->err, STDERR_FILENO) == 0) {
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvp(job->argv[0], (char *const *)job->argv);
	}
	job->error = -errno;
	return 127; /* its exit status */
}

int spawn_tool(const char *const *argv, int out, int err, pid_t *ret_pid)
{
	struct job job = {
		.argv = argv,
		.out = out,
		.err = err,
		.parent = getpid(),
	};
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all;
	sigset_t before;
	pid_t pid;

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Returns when the child has executed the program, or ended. */
	pid = clone(child, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
		    &job);
	if (pid < 0)
		job.error = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stack, STACK);
	if (pid > 0 && job.error < 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	else if (pid > 0)
		*ret_pid = pid;
	return job.error;
}

int spawn_output(const char *name)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC);
	int high;

	if (fd < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		return take_fd(&fd);
	/* The child would put another one in its place. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return high < 0 ? -errno : high;
}

void spawn_message(int fd, char ret_message[SPAWN_MESSAGE_MAX])
{
	ssize_t n = io_pread(fd, ret_message, SPAWN_MESSAGE_MAX - 1, 0);

	ret_message[n < 0 ? 0 : n] = '\0';
	for (char *p = ret_message; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
}
