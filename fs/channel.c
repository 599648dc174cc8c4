/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/math.h"

#define HEADER offsetof(struct message, text)

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_pair(int ret_ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	return 0;
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

	if (fd >= 0)
		attach_fd(&msg, &control, fd);
	for (;;) {
		if (sendmsg(channel, &msg, flags | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
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
	ssize_t n;

	do {
		n = recvmsg(channel, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
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
