/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_LAUNCHER_H
#define FS_LAUNCHER_H

struct dirdisk_options;

/*
 * The process that the user sees until the disk can be read: it prints the
 * progress of the scan (on a terminal), warnings and the error, reads a sector
 * of disk.img, and prints the command that boots it.
 *
 * supervisor: the channel to the supervisor, which is closed. If the supervisor
 * ends without a message, or sends none for too long, that is an error. If the
 * disk does not answer, the supervisor ends the start. Returns the exit code.
 */
int launcher_wait(const struct dirdisk_options *options, int supervisor);

#endif
