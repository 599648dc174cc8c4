/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CONFINE_H
#define FS_CONFINE_H

/*
 * Drops the rights of this process, and of the threads that it starts from then
 * on, that a disk does not need: capabilities, new privileges, other files,
 * other system calls.
 *
 * A restriction that the kernel does not have, or refuses, is left out: that is
 * not an error.
 */

#include <stdbool.h>

/*
 * Drops all capabilities but those that reading other users' files needs, and,
 * with `trusted`, the one that reading trusted.* attributes needs.
 */
void confine_capabilities(bool trusted);

/*
 * faccessat(2) of a directory as confine_capabilities leaves this process:
 * without CAP_DAC_OVERRIDE. 0 or a negative errno.
 */
int confine_access(int fd, int mode);

/* Descriptors of directories; -1: there is none. */
struct confine_files {
	int src_fd; /* may be read, with what is mounted below it */
	int tmp_fd; /* may be read and written, and files made in it */
};

/*
 * From then on the process can open only files below those directories. O_PATH
 * and attributes work everywhere. It can start threads, but make no namespaces.
 */
void confine_worker(const struct confine_files *files);
/* From then on the process can only open files, anywhere, for reading. */
void confine_opener(void);

#endif
