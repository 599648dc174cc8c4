/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_MESSAGE_H
#define FS_OPENER_MESSAGE_H

/*
 * Messages between the worker and its opener, over a socket that keeps them
 * apart (channel_pair). A request is followed by a path, without a NUL; a
 * descriptor may come with a reply.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum opener_request_kind {
	OPENER_FIND, /* find SRC's directory; the reply has its root */
	OPENER_OPEN, /* open path beneath root */
	OPENER_LINK, /* open the file that the link at path leads to */
	OPENER_FORGET, /* root is no longer needed; no reply */
};

/* The directory that was SRC at the start. */
#define OPENER_FIRST_ROOT 1

struct opener_request {
	uint32_t kind;
	uint32_t id; /* comes back in the reply */
	uint64_t root;
	uint64_t own_dev; /* st_dev of the disk's own mount, or 0 */
	int32_t flags;
	uint32_t unused;
};

struct opener_reply {
	uint32_t id;
	int32_t error; /* 0: a descriptor comes with it */
	uint64_t root;
};

/*
 * Sends a head and the bytes after it (len may be 0), and fd if it is not -1. 0
 * or a negative errno.
 */
int opener_send(int socket, const void *head, size_t head_len, const void *more,
		size_t len, int fd, int flags);
/*
 * Returns the length of a message, 0 if the other side has ended, or a negative
 * errno. A descriptor that came with it is the caller's, otherwise *ret_fd is
 * -1.
 */
ssize_t opener_receive(int socket, void *buf, size_t size, int flags,
		       int *ret_fd);

#endif
