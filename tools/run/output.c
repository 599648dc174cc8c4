/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What a pipe that can be written to at all takes without making us wait. */
#define PIECE 4096u

/*
 * Others write to the same open file, and must not find it set not to block:
 * terminals and pipes are opened once more. A regular file does not block.
 */
void output_open(struct output *output)
{
	struct stat st;
	int fd = -1;

	output->fd = STDOUT_FILENO;
	output->own = false;
	output->len = 0;
	if (fstat(STDOUT_FILENO, &st) < 0)
		return;
	output->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/1",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	output->fd = fd;
	output->own = true;
}

void output_close(struct output *output)
{
	if (output->own)
		close(output->fd);
	output->own = false;
	output->fd = STDOUT_FILENO;
}

size_t output_room(const struct output *output)
{
	return sizeof(output->bytes) - output->len;
}

static bool is_ready(const struct output *output)
{
	struct pollfd fd = { .fd = output->fd, .events = POLLOUT };

	return poll(&fd, 1, 0) == 1;
}

static ssize_t write_piece(const struct output *output)
{
	size_t len = output->len < PIECE ? output->len : PIECE;

	if (output->is_socket)
		return send(output->fd, output->bytes, len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(output->fd, output->bytes, len);
}

int output_flush(struct output *output)
{
	while (output->len && is_ready(output)) {
		ssize_t n = write_piece(output);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		output->len -= (size_t)n;
		memmove(output->bytes, output->bytes + n, output->len);
	}
	return 0;
}

int output_put(struct output *output, const char *bytes, size_t len)
{
	assert(len <= output_room(output));
	memcpy(output->bytes + output->len, bytes, len);
	output->len += len;
	if (len)
		output->in_line = bytes[len - 1] != '\n';
	return output_flush(output);
}
