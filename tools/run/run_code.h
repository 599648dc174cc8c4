/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_RUN_CODE_H
#define RUN_RUN_CODE_H

/* EXIT STATUS in dirdisk-run(1), where it is not QEMU's. */
enum run_code {
	RUN_SEEN = 0,
	RUN_NOT_SEEN = 1,
	RUN_FAILED = 2,
	RUN_PANIC = 3,
	RUN_GRUB_ERROR = 4,
	RUN_TIMED_OUT = 124,
	RUN_SIGNAL = 128, /* and its number */
};

#endif
