/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/math.h"

#define HEADER offsetof(struct message, text)

/* Retries, and the pause between them, if the kernel is out of memory. */
#define MAX_TRIES 50
#define PAUSE_NS  10000000
/* Time limit for the other side to read a message. */
#define SEND_SECONDS 20

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_pair(int ret_ends[2])
{
	const struct timeval limit = { .tv_sec = SEND_SECONDS };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++)
		setsockopt(ret_ends[i], SOL_SOCKET, SO_SNDTIMEO, &limit,
			   sizeof(limit));
	return 0;
}

/* True if the call that failed with this error is to be repeated. */
static bool try_again(int err, unsigned *tries)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (err == EINTR)
		return true;
	if ((err != ENOBUFS && err != ENOMEM) || ++*tries == MAX_TRIES)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static void attach_fd(struct msghdr *msg, union control *control, int fd)
{
	struct cmsghdr *c;

	msg->msg_control = control;
	msg->msg_controllen = sizeof(*control);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

static int send_message(int channel, struct message *head, const char *text,
			int fd, int flags)
{
	size_t len = text ? min_u64(strlen(text), sizeof(head->text) - 1) : 0;
	struct iovec parts[] = {
		{ .iov_base = head, .iov_len = HEADER },
		{ .iov_base = (char *)text, .iov_len = len },
	};
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	union control control = { 0 };
	unsigned tries = 0;

	if (fd >= 0)
		attach_fd(&msg, &control, fd);
	for (;;) {
		if (sendmsg(channel, &msg, flags | MSG_NOSIGNAL) >= 0)
			return 0;
		if (!try_again(errno, &tries))
			return -errno;
	}
}

int channel_send(int channel, enum message_kind kind, int code,
		 const char *text, int fd)
{
	struct message head = { .kind = kind, .code = code };

	return send_message(channel, &head, text, fd, 0);
}

int channel_send_mount(int channel, uint64_t dev, int fd)
{
	struct message head = { .kind = MESSAGE_MOUNTED, .value = dev };

	return send_message(channel, &head, NULL, fd, 0);
}

int channel_try(int channel, enum message_kind kind, uint64_t value,
		const char *text)
{
	struct message head = { .kind = kind, .value = value };

	return send_message(channel, &head, text, -1, MSG_DONTWAIT);
}

static int received_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int channel_wait(int channel, int timeout_ms)
{
	struct pollfd fd = { .fd = channel, .events = POLLIN };
	int n = poll(&fd, 1, timeout_ms);

	return n < 0 ? errno == EINTR ? 0 : -errno : n;
}

int channel_receive(int channel, int flags, struct message *ret_message,
		    int *ret_fd)
{
	struct iovec part = {
		.iov_base = ret_message,
		.iov_len = sizeof(*ret_message) - 1,
	};
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	_cleanup_close_ int fd = -1;
	unsigned tries = 0;
	ssize_t n;

	do {
		n = recvmsg(channel, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && try_again(errno, &tries));
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	fd = received_fd(&msg);
	if (n < (ssize_t)HEADER)
		return 0;
	((char *)ret_message)[n] = '\0';
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 1;
}
