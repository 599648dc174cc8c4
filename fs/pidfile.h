/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_PIDFILE_H
#define FS_PIDFILE_H

/*
 * A file that holds a process id for as long as the disk is mounted.
 * Errors: 0 or a negative errno with a diagnostic.
 */

struct diag;

struct pidfile {
	char *path; /* as it was given; NULL: no file is wanted */
	char *name; /* in the directory */
	int dir_fd;
	int fd; /* of the file, after it was written; otherwise -1 */
};

#define PIDFILE_INIT                   \
	{                              \
		.dir_fd = -1, .fd = -1 \
	}

/* Opens the directory, so that a later chdir has no effect. path may be NULL.
 */
int pidfile_open(struct pidfile *pidfile, const char *path, struct diag *diag);
/* Writes this process' id. */
int pidfile_write(struct pidfile *pidfile, struct diag *diag);
/*
 * Removes the file if it was written and is still ours: another process may
 * have written its id to it, or replaced it. Closes the directory.
 */
void pidfile_end(struct pidfile *pidfile);

#endif
