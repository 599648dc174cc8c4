/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CHANNEL_H
#define FS_CHANNEL_H

/*
 * Messages between dirdisk's processes, over a socket that keeps them apart
 * (those of the opener are in opener_message.h):
 *
 *     worker     -> supervisor   progress, warning, fail, built, serving, log
 *     supervisor -> worker       mounted (with the descriptor of the mount)
 *     supervisor -> launcher     mount dir, progress, warning, fail, ready
 *     launcher   -> supervisor   seen, fail
 *
 * An end of file means that the other side has ended. No message blocks for
 * ever: one that the other side does not read fails with -EAGAIN after some
 * seconds. To receive without MSG_DONTWAIT waits for a message or the end.
 * Errors: 0 or a negative errno.
 */

#include <stddef.h>
#include <stdint.h>

enum message_kind {
	MESSAGE_MOUNT_DIR, /* text: the path of the one that was made */
	MESSAGE_PROGRESS, /* value: entries scanned so far */
	MESSAGE_WARNING, /* text */
	MESSAGE_FAIL, /* code: the exit code; text */
	MESSAGE_BUILT, /* the image is ready; it is mounted next */
	MESSAGE_MOUNTED, /* value: st_dev of the mount; with its descriptor */
	MESSAGE_SERVING,
	MESSAGE_LOG, /* text */
	MESSAGE_READY, /* the disk can be read */
	MESSAGE_SEEN, /* the disk was read */
};

struct message {
	uint32_t kind;
	int32_t code;
	uint64_t value;
	char text[16384];
};

/* Makes both ends, closed on exec. */
int channel_pair(int ret_ends[2]);

/*
 * Sends text (may be NULL; cut if it is too long) and, if fd is not -1, the
 * descriptor. channel_try does not wait: -EAGAIN if there is no room.
 */
int channel_send(int channel, enum message_kind kind, int code,
		 const char *text, int fd);
int channel_send_mount(int channel, uint64_t dev, int fd);
int channel_try(int channel, enum message_kind kind, uint64_t value,
		const char *text);

/* 1: a message, or the end of file, can be received; 0: the time is over. */
int channel_wait(int channel, int timeout_ms);

/*
 * 1: a message; 0: the other side has ended; -EAGAIN: there is none, with
 * MSG_DONTWAIT in flags. A descriptor that came with it is the caller's,
 * otherwise *ret_fd is -1; ret_fd may be NULL.
 */
int channel_receive(int channel, int flags, struct message *ret_message,
		    int *ret_fd);

#endif
