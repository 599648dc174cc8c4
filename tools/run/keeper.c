/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "imgcore/diag.h"
#include "place.h"
#include "terminal.h"

/* Time limit to make a directory. */
#define START_SECONDS 20
/* Time limit for the keeper to end the others, within its own limits. */
#define END_MS 30000

/* The path of the place, or why there is none. */
struct answer {
	int error;
	char text[PATH_MAX + 256];
};

static void fill_answer(struct answer *answer, int err, const char *text)
{
	answer->error = err;
	strncpy(answer->text, text ? text : "", sizeof(answer->text) - 1);
}

/* Nothing that our caller waits for the end of may stay open with us. */
static void let_go(int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (!isatty(STDIN_FILENO))
		dup2(null, STDIN_FILENO);
	close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0);
	close_range((unsigned)keep + 1, ~0U, 0);
	if (chdir("/") < 0)
		return;
}

static void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static int keep(int socket, const struct terminal *terminal)
{
	struct answer answer = { 0 };
	_cleanup_free_ char *place = NULL;
	_cleanup_free_ char *text = NULL;
	struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;
	char byte;
	int r = place_make(&place, &fd, &diag);

	if (r < 0)
		text = diag_format(&diag, r);
	diag_clear(&diag);
	fill_answer(&answer, r, r < 0 ? text : place);
	if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) < 0 && r == 0)
		r = rmdir(place);
	if (r < 0)
		return 1;
	while (recv(socket, &byte, 1, 0) < 0 && errno == EINTR)
		;
	terminal_restore(terminal);
	return place_remove(place, fd, &diag) < 0;
}

static int receive_place(struct keeper *keeper, struct diag *diag)
{
	struct answer answer = { 0 };
	const struct timeval limit = { .tv_sec = START_SECONDS };
	ssize_t n;

	setsockopt(keeper->socket, SOL_SOCKET, SO_RCVTIMEO, &limit,
		   sizeof(limit));
	n = recv(keeper->socket, &answer, sizeof(answer), 0);
	if (n < 0 && errno == EAGAIN) {
		kill(keeper->pid, SIGKILL);
		return diag_set(
			diag, -ETIMEDOUT, NULL,
			"no directory could be made within %d s: a file system does not answer; set XDG_RUNTIME_DIR and TMPDIR to others",
			START_SECONDS);
	}
	if (n != sizeof(answer))
		return diag_set(diag, n < 0 ? -errno : -EIO, NULL,
				"the process that looks after the mount ended");
	if (answer.error < 0)
		return diag_set(diag, answer.error, NULL, "%s", answer.text);
	keeper->place = strdup(answer.text);
	return keeper->place ? place_open(keeper->place, &keeper->place_fd)
			     : -ENOMEM;
}

int keeper_start(struct keeper *ret_keeper, const struct terminal *terminal,
		 struct diag *diag)
{
	struct keeper keeper = KEEPER_INIT;
	int ends[2];
	int status;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return diag_set(diag, -errno, NULL, NULL);
	keeper.socket = ends[0];
	keeper.pid = fork();
	if (keeper.pid == 0) {
		block_all();
		setsid();
		let_go(ends[1]);
		_exit(keep(ends[1], terminal));
	}
	r = keeper.pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0)
		r = receive_place(&keeper, diag);
	if (r < 0) {
		close(keeper.socket);
		free(keeper.place);
		if (keeper.pid > 0)
			wait_child(keeper.pid, END_MS, &status);
		return r;
	}
	*ret_keeper = keeper;
	return 0;
}

void keeper_forget(struct keeper *keeper)
{
	base_closep(&keeper->socket);
	keeper->socket = -1;
}

int keeper_end(struct keeper *keeper, struct diag *diag)
{
	int status = -1;
	int r = 0;

	if (!keeper->place)
		return 0;
	keeper_forget(keeper);
	/* If the keeper hangs, the directory is removed here. */
	if (wait_child(keeper->pid, END_MS, &status) == -ETIMEDOUT)
		kill(keeper->pid, SIGKILL);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		r = place_remove(keeper->place, keeper->place_fd, diag);
	base_closep(&keeper->place_fd);
	free(keeper->place);
	*keeper = (struct keeper)KEEPER_INIT;
	return r;
}
