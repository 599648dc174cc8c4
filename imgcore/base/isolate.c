/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/math.h"

/* Far more than any call takes. */
#define DEADLINE_SECONDS 20
#define CPU_SECONDS	 2

struct answer {
	bool done;
	int result;
};

void *isolate_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void child_run(int (*function)(void *context), void *context,
		      struct answer *answer)
{
	static const int fatal[] = { SIGSEGV, SIGBUS,  SIGABRT, SIGFPE,
				     SIGILL,  SIGALRM, SIGXCPU, SIGTERM };
	const struct rlimit no_core = { 0 };
	const struct rlimit time = { CPU_SECONDS, CPU_SECONDS };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		signal(fatal[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	/* If this is forbidden by now, the time limit still holds. */
	setrlimit(RLIMIT_CPU, &time);
	if (null >= 0)
		dup3(null, STDERR_FILENO, 0);
	alarm(DEADLINE_SECONDS);
	answer->result = function(context);
	answer->done = true;
	_exit(0);
}

int isolate_run(int (*function)(void *context), void *context)
{
	struct answer *answer = isolate_memory(sizeof(*answer));
	pid_t pid;
	int r;

	if (!answer)
		return -errno;
	pid = fork();
	if (pid == 0)
		child_run(function, context, answer);
	r = pid < 0 ? -errno : 0;
	/* Where the caller ignores SIGCHLD there is no status, but an answer.
	 */
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = answer->done ? answer->result : -ECHILD;
	munmap(answer, sizeof(*answer));
	return r;
}
