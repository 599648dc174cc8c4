/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/stdio_null.h"
#include "base/vec.h"
#include "confine.h"
#include "exit_code.h"
#include "imgcore/opener.h"
#include "opener_message.h"

/* Flags that a request may have besides O_RDONLY. */
#define MAY_ASK (O_DIRECTORY | O_NONBLOCK | O_NOCTTY)

/* A directory that SRC's path led to, and that is still in use. */
struct root {
	uint64_t number;
	int fd;
};

struct opener_state {
	const struct opener_process *process;
	struct {
		struct root *items;
		size_t count, size;
	} roots;
	uint64_t last; /* number that was given */
};

static void state_release(struct opener_state *s)
{
	for (size_t i = 0; i < s->roots.count; i++)
		close(s->roots.items[i].fd);
	vec_free(&s->roots);
}

/* Takes fd over; returns the root's number, or 0 without memory. */
static uint64_t add_root(struct opener_state *s, int fd)
{
	struct root *root = vec_push(&s->roots);

	if (!root) {
		close(fd);
		return 0;
	}
	*root = (struct root){ .number = ++s->last, .fd = fd };
	return root->number;
}

static int find_root(const struct opener_state *s, uint64_t number)
{
	for (size_t i = s->roots.count; i-- > 0;)
		if (s->roots.items[i].number == number)
			return s->roots.items[i].fd;
	return -ESTALE;
}

static void forget_root(struct opener_state *s, uint64_t number)
{
	for (size_t i = 0; i < s->roots.count; i++) {
		if (s->roots.items[i].number != number)
			continue;
		close(s->roots.items[i].fd);
		s->roots.items[i] = s->roots.items[--s->roots.count];
		return;
	}
}

/* Only entries of the directory of such links are followed. */
static bool may_follow(const struct opener_state *s, const char *path)
{
	const char *dir = s->process->follow;
	size_t len = dir ? strlen(dir) : 0;

	return dir && strncmp(path, dir, len) == 0 && path[len] == '/' &&
	       !strchr(path + len + 1, '/');
}

/* A descriptor or a negative errno. */
static int answer(struct opener_state *s, const struct opener_request *request,
		  const char *path, uint64_t *ret_root)
{
	int root = request->kind == OPENER_FIND ? -1
						: find_root(s, request->root);
	int flags = O_RDONLY | request->flags;
	int fd;

	if (request->flags & ~MAY_ASK)
		return -EINVAL;
	switch (request->kind) {
	case OPENER_FIND:
		fd = opener_find(s->process->path, request->own_dev, -1, NULL);
		if (fd < 0)
			return fd;
		root = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		*ret_root = root < 0 ? 0 : add_root(s, root);
		if (*ret_root)
			return fd;
		close(fd);
		return root < 0 ? -EMFILE : -ENOMEM;
	case OPENER_OPEN:
		if (root < 0)
			return root;
		return opener_open(NULL, root, path, s->process->cross_mounts,
				   request->own_dev, flags);
	case OPENER_LINK:
		if (root < 0)
			return root;
		return may_follow(s, path)
			       ? opener_open_link(NULL, root, path,
						  request->own_dev, flags)
			       : -EACCES;
	default:
		return -EINVAL;
	}
}

/* 0: the worker has ended; or a negative errno. */
static int serve_one(struct opener_state *s)
{
	int socket = s->process->socket;
	/* The length of the next request: a path may have any length. */
	ssize_t len = recv(socket, NULL, 0, MSG_PEEK | MSG_TRUNC);
	_cleanup_free_ struct opener_request *request = NULL;
	struct opener_reply reply = { 0 };
	_cleanup_close_ int fd = -1;
	int sent = -1;
	int r;

	if (len < 0 && errno == EINTR)
		return 1;
	if (len <= 0)
		return len < 0 && errno != ECONNRESET ? -errno : 0;
	request = malloc((size_t)len + 1);
	if (!request)
		return -ENOMEM;
	len = opener_receive(socket, request, (size_t)len, 0, &sent);
	base_closep(&sent);
	if (len < (ssize_t)sizeof(*request))
		return len < 0 ? (int)len : 0;
	((char *)request)[len] = '\0';
	if (request->kind == OPENER_FORGET) {
		forget_root(s, request->root);
		return 1;
	}
	fd = answer(s, request, (const char *)(request + 1), &reply.root);
	reply.id = request->id;
	reply.error = fd < 0 ? fd : 0;
	r = opener_send(socket, &reply, sizeof(reply), NULL, 0, fd, 0);
	return r == 0 ? 1 : r == -EPIPE ? 0 : r;
}

int opener_run(const struct opener_process *process)
{
	_cleanup_(state_release) struct opener_state state = {
		.process = process,
	};
	int r;

	/* The supervisor may have died before that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    getppid() != process->supervisor)
		return EXIT_SIGNALS;
	prctl(PR_SET_NAME, "dirdisk-opener");
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (chdir("/") < 0 ||
	    (!process->foreground && stdio_null_redirect() < 0) ||
	    add_root(&state, process->src_fd) != OPENER_FIRST_ROOT)
		return EXIT_SETUP;
	confine_capabilities(process->trusted);
	confine_opener();
	do {
		r = serve_one(&state);
	} while (r > 0);
	return r < 0 ? EXIT_RUN : EXIT_OK;
}
