/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/deadline.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"

#define TICK_MS 2

int64_t deadline_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int deadline_wait_child(pid_t pid, int timeout_ms, int *ret_status)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end_of_it = { .fd = fd, .events = POLLIN };
	int64_t end = deadline_now_ms() + timeout_ms;
	pid_t ended;

	while ((ended = waitpid(pid, ret_status, WNOHANG)) != pid) {
		int64_t left = end - deadline_now_ms();

		if (ended < 0 && errno != EINTR)
			return -errno;
		if (left <= 0)
			return -ETIMEDOUT;
		/* Without a pidfd, polls at intervals. */
		poll(&end_of_it, 1, fd < 0 ? TICK_MS : (int)left);
	}
	return 0;
}
