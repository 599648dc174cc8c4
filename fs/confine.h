/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CONFINE_H
#define FS_CONFINE_H

/*
 * Takes from this process, and the threads it starts from here on, what serving
 * a disk does not need: new privileges, changing anything on the host outside
 * of the directory tmp_fd, system calls for other trades. Reading stays free: a
 * tree leads to files in many places, all opened beneath directories that
 * were open before.
 *
 * What the kernel cannot do is left out; what it refuses to do is not an error.
 */
void confine_worker(int tmp_fd);

#endif
