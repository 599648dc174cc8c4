/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_LAUNCHER_H
#define FS_LAUNCHER_H

struct options;

/*
 * The process that talks to the user until the disk can be read: shows how far
 * the scan is (on a terminal), warnings and the error, reads a sector of
 * disk.img itself, and tells how to boot it.
 *
 * supervisor is the channel to it; its end without a word, or its silence, is
 * told as an error. A disk that does not answer is the supervisor's to end.
 * Returns the exit code. The channel is closed.
 */
int launcher_wait(const struct options *options, int supervisor);

#endif
