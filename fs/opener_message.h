/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_MESSAGE_H
#define FS_OPENER_MESSAGE_H

/*
 * What a worker and its opener tell each other over a socket that keeps
 * messages apart (channel_pair). A request has a path after it, with no NUL;
 * a reply may have a descriptor with it.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum opener_request_kind {
	OPENER_FIND, /* the directory that SRC's path leads to; gives its root
		      */
	OPENER_OPEN, /* path beneath root */
	OPENER_LINK, /* what the link at path beneath root leads to */
	OPENER_FORGET, /* root is not needed any more; no reply */
};

/* The directory that was SRC at the start. */
#define OPENER_FIRST_ROOT 1

struct opener_request {
	uint32_t kind;
	uint32_t id; /* comes back in the reply */
	uint64_t root;
	uint64_t own_dev; /* of the disk's own mount, or 0 */
	int32_t flags;
	uint32_t unused;
};

struct opener_reply {
	uint32_t id;
	int32_t error; /* 0: a descriptor comes with it */
	uint64_t root;
};

/*
 * Sends a head and what follows it (len may be 0), and fd if it is not -1. 0 or
 * a negative errno.
 */
int opener_send(int socket, const void *head, size_t head_len, const void *more,
		size_t len, int fd, int flags);
/*
 * The length of a message, 0: the other side is gone, or a negative errno. A
 * descriptor that came with it is the caller's, otherwise *ret_fd is -1.
 */
ssize_t opener_receive(int socket, void *buf, size_t size, int flags,
		       int *ret_fd);

#endif
