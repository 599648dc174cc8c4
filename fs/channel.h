/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CHANNEL_H
#define FS_CHANNEL_H

/*
 * What dirdisk's processes tell each other, over a socket that keeps messages
 * apart:
 *
 *     worker     -> supervisor   progress, warning, fail, built, serving, log
 *     supervisor -> worker       mounted (with the descriptor of the mount)
 *     supervisor -> launcher     progress, warning, fail, ready
 *     launcher   -> supervisor   seen, fail
 *
 * An end of file says that the other side is gone. No call waits without end:
 * a message that nobody reads is given up with -EAGAIN after some seconds.
 * Errors: 0 or a negative errno. Messages are sent and received, never written.
 */

#include <stddef.h>
#include <stdint.h>

enum message_kind {
	MESSAGE_PROGRESS, /* value: entries scanned so far */
	MESSAGE_WARNING, /* text */
	MESSAGE_FAIL, /* code: the exit code; text */
	MESSAGE_BUILT, /* the image stands, nothing is mounted yet */
	MESSAGE_MOUNTED, /* value: its st_dev; with the descriptor to serve */
	MESSAGE_SERVING,
	MESSAGE_LOG, /* text */
	MESSAGE_READY, /* the disk can be read */
	MESSAGE_SEEN, /* it was */
};

struct message {
	uint32_t kind;
	int32_t code;
	uint64_t value;
	char text[16384];
};

/* Both ends, closed on exec. */
int channel_pair(int ret_ends[2]);

/*
 * Sends text (may be NULL; cut where it is too long) and, if fd is not -1, the
 * descriptor. channel_try gives up with -EAGAIN rather than wait.
 */
int channel_send(int channel, enum message_kind kind, int code,
		 const char *text, int fd);
int channel_send_mount(int channel, uint64_t dev, int fd);
int channel_try(int channel, enum message_kind kind, uint64_t value,
		const char *text);

/* 1: there is something to receive, or the end; 0: nothing came in that time.
 */
int channel_wait(int channel, int timeout_ms);

/*
 * 1: a message; 0: the other side is gone; -EAGAIN: none is there, with
 * MSG_DONTWAIT in flags. A descriptor that came along is the caller's; ret_fd
 * may be NULL, else it is -1 where there was none.
 */
int channel_receive(int channel, int flags, struct message *ret_message,
		    int *ret_fd);

#endif
