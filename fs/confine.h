/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_CONFINE_H
#define FS_CONFINE_H

/*
 * Takes from this process, and the threads it starts from here on, what showing
 * a directory as a disk does not need: capabilities, new privileges, files
 * elsewhere, system calls for other trades.
 *
 * What the kernel cannot do is left out; what it refuses to do is not an error.
 */

#include <stdbool.h>

/*
 * Drops all capabilities but those that reading files of others takes, and,
 * with trusted, the one to read their trusted.* attributes.
 */
void confine_capabilities(bool trusted);

/* Descriptors of directories; -1: there is none. */
struct confine_files {
	int src_fd; /* read, with what is mounted below it */
	int tmp_fd; /* read, and files made and written */
};

/*
 * Opens no file from here on but those of files; places (O_PATH) and
 * attributes are seen everywhere. Threads may be started, no namespaces.
 */
void confine_worker(const struct confine_files *files);
/* Opens files anywhere, to read them; does nothing else. One thread. */
void confine_opener(void);

#endif
