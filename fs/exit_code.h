/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_EXIT_CODE_H
#define FS_EXIT_CODE_H

/* What dirdisk's exit status says; EXIT STATUS in dirdisk(1). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_OPTIONS = 1,
	EXIT_MOUNT_POINT = 2,
	EXIT_SETUP = 3,
	EXIT_MOUNT = 4,
	EXIT_DAEMON = 5,
	EXIT_SIGNALS = 6,
	EXIT_RUN = 7,
};

#endif
